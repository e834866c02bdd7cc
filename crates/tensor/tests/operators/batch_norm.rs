//! Batch norm, and its running statistics.

use super::common::{Tensor, check, compare, gpu};
use frugal_tensor::graph::{Element, Graph, GraphError, Init, ValueId};
use frugal_tensor::ops::batch_norm::{BatchNorm, BatchNormInference, BatchNormState};
use frugal_tensor::{Plan, Policy, Session};

#[test]
fn batch_norm() {
    for [n, c, h, w] in [[4, 3, 4, 4], [2, 5, 3, 3], [7, 1, 1, 5], [32, 16, 8, 8], [3, 2, 17, 19]] {
        let norm = |t: &[Tensor], epsilon: f64| {
            let count = (n * h * w) as f64;
            let channel = |i: usize| i / (h * w) % c;
            let sum = |ch: usize, f: &dyn Fn(f64) -> f64| {
                let xs = t[0].data.iter().enumerate().filter(|(i, _)| channel(*i) == ch);
                xs.map(|(_, &x)| f(x)).sum::<f64>() / count
            };
            let mean: Vec<f64> = (0..c).map(|ch| sum(ch, &|x| x)).collect();
            let var: Vec<f64> = (0..c).map(|ch| sum(ch, &|x| (x - mean[ch]).powi(2))).collect();
            t[0].map(|i, x| {
                let ch = channel(i);
                (x - mean[ch]) / (var[ch] + epsilon).sqrt() * t[1].data[ch] + t[2].data[ch]
            })
        };
        let apply = |g: &mut Graph, v: &[ValueId], offset: f32| {
            let statistic = |g: &mut Graph, name: &str, start: f32| {
                let kind = frugal_tensor::graph::Kind::Statistic;
                let init = Init::Constant(start);
                g.persistent(name, kind, [c], frugal_tensor::graph::Element::F32, init)
            };
            let mean = statistic(g, "running_mean", offset)?;
            let var = statistic(g, "running_var", 2.0)?;
            Ok::<_, GraphError>([v[0], v[1], v[2], mean, var])
        };
        let parameters = || vec![Tensor::random(&[c], 2), Tensor::random(&[c], 3)];
        check(
            &format!("batch norm {n}×{c}×{h}×{w}"),
            vec![Tensor::random(&[n, c, h, w], 1)],
            parameters(),
            &|g, v| {
                let inputs = apply(g, v, 0.0)?;
                g.apply_one(BatchNorm { epsilon: 1e-5, momentum: 0.1 }, &inputs)
            },
            &|t| norm(t, 1e-5),
        );
    }
}

#[test]
fn batch_norm_keeps_running_statistics_for_inference() {
    let gpu = gpu();
    let x = Tensor::random(&[5, 2, 3, 3], 4);
    let mut training = Graph::new();
    let input = training.input("x", x.shape.as_slice(), Element::F32);
    let state = BatchNormState::new(&mut training, 2).unwrap();
    training.apply(BatchNorm { epsilon: 1e-5, momentum: 0.1 }, &state.inputs(input)).unwrap();
    training.settle().unwrap();
    let mut inference = Graph::new();
    let input = inference.input("x", x.shape.as_slice(), Element::F32);
    let state = BatchNormState::new(&mut inference, 2).unwrap();
    let y = inference.apply_one(BatchNormInference { epsilon: 1e-5 }, &state.inputs(input)).unwrap();
    inference.mark_metric(y);
    let plan = Plan::new(training, &Policy::raw(), gpu.plan_options()).unwrap();
    let beside = plan.beside(inference).unwrap();
    let mut session = Session::new(gpu, vec![plan, beside], 0).unwrap();
    session.write("running_mean", &[0.5, -0.25]).unwrap();
    let data = x.f32();
    session.step(0, &[bytemuck::cast_slice(&data)]).unwrap();
    session.step(1, &[bytemuck::cast_slice(&data)]).unwrap();
    let metrics = session.finished().unwrap().pop().unwrap();
    let wanted_mean: Vec<f64> = (0..2)
        .map(|c| {
            let xs: Vec<f64> = x.data.iter().enumerate().filter(|(i, _)| i / 9 % 2 == c).map(|(_, &x)| x).collect();
            let mean = xs.iter().sum::<f64>() / 45.0;
            [0.5, -0.25][c] + 0.1 * (mean - [0.5, -0.25][c])
        })
        .collect();
    let mean: Vec<f64> = session.read("running_mean").unwrap().into_iter().map(f64::from).collect();
    compare("running mean", &mean, &wanted_mean, 1e-6);
    let var: Vec<f64> = session.read("running_var").unwrap().into_iter().map(f64::from).collect();
    let wanted: Vec<f64> =
        x.data.iter().enumerate().map(|(i, x)| (x - mean[i / 9 % 2]) / (var[i / 9 % 2] + 1e-5).sqrt()).collect();
    let got: Vec<f64> = (0..metrics.words.len()).map(|i| f64::from(metrics.f32(i))).collect();
    compare("inference", &got, &wanted, 1e-5);
}
