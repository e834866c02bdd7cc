//! Batch norm, and its running statistics.

use super::activations::{ALL, reference};
use frugal_tensor::ir::{Element, Graph, GraphError, Init, KernelSet, Role, ValueId};
use frugal_tensor::ops::batch_norm::{BatchNorm, BatchNormInference, BatchNormState};
use frugal_tensor::{Plan, PlanOptions, PlannedSession, Policy};
use frugal_testkit::{Case, Tensor, check, compare, gpu};

/// γ·(x − mean)/√(variance + 1e-5) + β of x, γ, β.
fn normalized(t: &[Tensor]) -> Tensor {
    let [n, c, h, w] = t[0].nchw();
    let channel = |i: usize| i / (h * w) % c;
    let sum = |ch: usize, f: &dyn Fn(f64) -> f64| {
        let xs = t[0].data.iter().enumerate().filter(|(i, _)| channel(*i) == ch);
        xs.map(|(_, &x)| f(x)).sum::<f64>() / (n * h * w) as f64
    };
    let mean: Vec<f64> = (0..c).map(|ch| sum(ch, &|x| x)).collect();
    let var: Vec<f64> = (0..c).map(|ch| sum(ch, &|x| (x - mean[ch]).powi(2))).collect();
    t[0].map(|i, x| {
        let ch = channel(i);
        (x - mean[ch]) / (var[ch] + 1e-5).sqrt() * t[1].data[ch] + t[2].data[ch]
    })
}

/// The norm of x by γ and β.
pub(super) fn norm(g: &mut Graph, x: ValueId, gamma: ValueId, beta: ValueId) -> Result<ValueId, GraphError> {
    let channels = g.shape(gamma).elements();
    let statistic = |g: &mut Graph, name: &str, start: f32| {
        g.persistent(name, Role::Statistic, [channels], Element::F32, Init::Constant(start))
    };
    let mean = statistic(g, "running_mean", 0.0)?;
    let variance = statistic(g, "running_var", 2.0)?;
    g.apply_one(BatchNorm { epsilon: 1e-5, momentum: 0.1 }, &[x, gamma, beta, mean, variance])
}

#[test]
fn batch_norm() {
    for [n, c, h, w] in [[4, 3, 4, 4], [2, 5, 3, 3], [7, 1, 1, 5], [32, 16, 8, 8], [3, 2, 17, 19], [1100, 3, 2, 2]] {
        check(
            &format!("batch norm {n}×{c}×{h}×{w}"),
            vec![Tensor::random(&[n, c, h, w], 1)],
            vec![Tensor::random(&[c], 2), Tensor::random(&[c], 3)],
            &|g, v| norm(g, v[0], v[1], v[2]),
            &normalized,
        );
    }
}

/// What is done in the passes of a norm: each activation behind it, with and without an addition between them, forward
/// and back. (No element lies so close to a bound that the differences of the reference would cross it.)
#[test]
fn what_comes_behind_a_batch_norm() {
    for activation in ALL {
        for ([n, c, h, w], add) in
            [([4, 3, 4, 4], false), ([4, 3, 4, 4], true), ([2, 5, 3, 3], false), ([2, 5, 3, 3], true)]
        {
            let shape = [n, c, h, w];
            let build = |g: &mut Graph, v: &[ValueId]| {
                let mut y = norm(g, v[0], v[v.len() - 2], v[v.len() - 1])?;
                if add {
                    y = g.add(v[1], y)?;
                }
                g.activate(y, activation)
            };
            let activations = if add { vec![1, 6] } else { vec![1] };
            let activations = activations.into_iter().map(|seed| Tensor::random(&shape, seed)).collect();
            let reference = |t: &[Tensor]| {
                let y = normalized(&[&t[..1], &t[t.len() - 2..]].concat());
                y.map(|i, y| reference(activation, if add { y + t[1].data[i] } else { y }))
            };
            let name = format!("{activation:?} behind a norm of {n}×{c}×{h}×{w}, add: {add}");
            let parameters = vec![Tensor::random(&[c], 12), Tensor::random(&[c], 13)];
            // For the oracle the norm, the sum and what comes of it are values of their own.
            Case { roundings: 3.0, ..Case::usual(&name, activations, parameters, &build, &reference) }.check();
        }
    }
}

/// A block is three nodes for the oracle and one elsewhere; so is its gradient, but for the sum's two branches.
#[test]
fn a_norm_takes_what_comes_behind_it_along() {
    let nodes = |set| {
        let mut g = Graph::new();
        let x = g.input("x", [2, 3, 4, 4], Element::F32);
        let other = g.input("other", [2, 3, 4, 4], Element::F32);
        let shift = g.parameter("shift", [2, 3, 4, 4], Init::Constant(0.0)).unwrap();
        let x = g.add(x, shift).unwrap();
        let [gamma, beta] = ["gamma", "beta"].map(|name| g.parameter(name, [3], Init::Constant(1.0)).unwrap());
        let y = norm(&mut g, x, gamma, beta).unwrap();
        let y = g.add(y, other).unwrap();
        let y = g.relu(y).unwrap();
        let arriving = g.input("arriving", [2, 3, 4, 4], Element::F32);
        g.differentiate(&[(y, Some(arriving))]).unwrap();
        let plan = Plan::new(g, &Policy::raw(), PlanOptions::unlimited(set)).unwrap();
        plan.graph.nodes().iter().map(|node| node.operator.name()).collect::<Vec<_>>()
    };
    let alone = ["add", "batch norm", "add", "relu", "mask encode", "relu gradient", "batch norm gradient"];
    assert_eq!(nodes(KernelSet::Naive), alone);
    let together = ["add", "batch norm", "mask encode", "batch norm and activation gradient"];
    assert_eq!(nodes(KernelSet::Tiles), together);
}

#[test]
fn batch_norm_keeps_running_statistics_for_inference() {
    let gpu = gpu();
    let x = Tensor::random(&[5, 2, 3, 3], 4);
    let mut training = Graph::new();
    let input = training.input("x", x.shape.as_slice(), Element::F32);
    let state = BatchNormState::new(&mut training, 2).unwrap();
    training.apply(BatchNorm { epsilon: 1e-5, momentum: 0.1 }, &state.inputs(input)).unwrap();
    training.add_deferred_updates().unwrap();
    let mut inference = Graph::new();
    let input = inference.input("x", x.shape.as_slice(), Element::F32);
    let state = BatchNormState::new(&mut inference, 2).unwrap();
    let y = inference.apply_one(BatchNormInference { epsilon: 1e-5 }, &state.inputs(input)).unwrap();
    inference.mark_metric(y);
    let plan = Plan::new(training, &Policy::raw(), gpu.plan_options()).unwrap();
    let beside = plan.evaluation(inference).unwrap();
    let mut session = PlannedSession::new(gpu, vec![plan, beside], 0).unwrap();
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
