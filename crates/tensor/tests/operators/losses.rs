//! Losses and their gradients, on every kernel set, against f64 references: masked samples, labels and targets, elements far
//! out.

use frugal_tensor::ir::{Element, Graph, Init};
use frugal_tensor::ops::loss::{ElementLoss, Loss};
use frugal_tensor::{Plan, PlannedSession, Policy};
use frugal_testkit::{SETS, Tensor, compare, gpu, options};

/// What a sample's prediction is compared with.
enum Target {
    Labels(Vec<u32>),
    Values(Tensor),
}

const LOSSES: [Loss; 5] = [
    Loss::CrossEntropy { smoothing: 0.0 },
    Loss::CrossEntropy { smoothing: 0.1 },
    Loss::Elements(ElementLoss::MeanSquared),
    Loss::Elements(ElementLoss::MeanAbsolute),
    Loss::Elements(ElementLoss::BinaryCrossEntropy),
];

/// The loss of one sample.
fn of_sample(loss: Loss, x: &[f64], t: &[f64]) -> f64 {
    let count = x.len() as f64;
    let mean = |f: &dyn Fn(f64, f64) -> f64| x.iter().zip(t).map(|(x, t)| f(*x, *t)).sum::<f64>() / count;
    match loss {
        Loss::CrossEntropy { smoothing } => {
            let smoothing = f64::from(smoothing);
            let most = x.iter().copied().fold(f64::MIN, f64::max);
            let sum = most + x.iter().map(|x| (x - most).exp()).sum::<f64>().ln();
            x.iter().zip(t).map(|(x, t)| (sum - x) * ((1.0 - smoothing) * t + smoothing / count)).sum()
        }
        Loss::Elements(ElementLoss::MeanSquared) => mean(&|x, t| (x - t).powi(2)),
        Loss::Elements(ElementLoss::MeanAbsolute) => mean(&|x, t| (x - t).abs()),
        Loss::Elements(ElementLoss::BinaryCrossEntropy) => {
            mean(&|x: f64, t| x.max(0.0) - x * t + (-x.abs()).exp().ln_1p())
        }
        other => panic!("{other:?} needs a reference"),
    }
}

/// Mean loss, share of correct predictions where there are labels, and the gradient by central differences.
fn check(loss: Loss, x: &Tensor, target: &Target) {
    let gpu = gpu();
    let samples = x.shape[0];
    let elements = x.data.len() / samples;
    let targets: Vec<f64> = match target {
        Target::Labels(labels) => {
            (0..x.data.len()).map(|i| f64::from(u8::from(i % elements == labels[i / elements] as usize))).collect()
        }
        Target::Values(values) => values.data.clone(),
    };
    let mask: Vec<f32> = (0..samples).map(|n| if n % 5 == 3 { 0.0 } else { 1.0 }).collect();
    let counted = mask.iter().sum::<f32>().into();
    let row = |data: &[f64], n: usize| data[n * elements..(n + 1) * elements].to_vec();
    let value = |n: usize, x: &[f64]| f64::from(mask[n]) / counted * of_sample(loss, x, &row(&targets, n));
    let wanted: f64 = (0..samples).map(|n| value(n, &row(&x.data, n))).sum();
    let gradient: Vec<f64> = (0..x.data.len())
        .map(|i| {
            let moved = |by: f64| {
                let mut row = row(&x.data, i / elements);
                row[i % elements] += by;
                value(i / elements, &row)
            };
            (moved(1e-5) - moved(-1e-5)) / 2e-5
        })
        .collect();
    let correct = match target {
        Target::Labels(labels) => (0..samples)
            .filter(|&n| {
                let row = row(&x.data, n);
                let first = (0..elements).rev().max_by(|&a, &b| row[a].total_cmp(&row[b]));
                mask[n] > 0.0 && first == Some(labels[n] as usize)
            })
            .count() as f64,
        Target::Values(values) if matches!(loss, Loss::CrossEntropy { .. }) => {
            let first = |data: &[f64], n: usize| {
                let row = row(data, n);
                (0..elements).rev().max_by(|&a, &b| row[a].total_cmp(&row[b]))
            };
            (0..samples).filter(|&n| mask[n] > 0.0 && first(&x.data, n) == first(&values.data, n)).count() as f64
        }
        Target::Values(_) => 0.0,
    };
    for set in SETS {
        let mut g = Graph::new();
        let prediction = g.parameter("x", x.shape.as_slice(), Init::Constant(0.0)).unwrap();
        let (goal, bytes): (_, Vec<u8>) = match target {
            Target::Labels(labels) => {
                (g.input("labels", [samples], Element::U32), bytemuck::cast_slice(labels).to_vec())
            }
            Target::Values(values) => {
                (g.input("target", values.shape.as_slice(), Element::F32), bytemuck::cast_slice(&values.f32()).to_vec())
            }
        };
        let mask_input = g.input("mask", [samples], Element::F32);
        let y = g.loss(loss, prediction, goal, mask_input).unwrap();
        let d = g.differentiate(&[(y, None)]).unwrap()[&prediction];
        g.mark_metric(d);
        let plan = Plan::new(g, &Policy::raw(), options(&gpu, set)).unwrap();
        let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
        session.write("x", &x.f32()).unwrap();
        session.step(0, &[&bytes, bytemuck::cast_slice(&mask)]).unwrap();
        let done = session.finished().unwrap().pop().unwrap();
        let what = format!("{loss:?} of {:?} on {set:?}", x.shape);
        let got = [0, 1, 2].map(|word| f64::from(done.f32(word)));
        compare(&what, &got[..1], &[wanted], 2e-6);
        assert_eq!(got[1..], [correct, counted], "{what}: correct, counted");
        let got: Vec<f64> = (4..done.words.len()).map(|i| f64::from(done.f32(i))).collect();
        compare(&format!("{what}: gradient"), &got, &gradient, 1e-5);
    }
}

#[test]
fn against_labels() {
    for loss in LOSSES {
        for (samples, classes, scale) in [(1, 2, 1.0), (7, 3, 1.0), (64, 10, 1.0), (6, 8, 30.0), (5, 41, 2.0)] {
            let x = Tensor::random(&[samples, classes], 1);
            let x = Tensor::from_fn(&x.shape, |i| f64::from((x.data[i] * scale) as f32));
            let labels = (0..samples).map(|n| (n * 7 % classes) as u32).collect();
            check(loss, &x, &Target::Labels(labels));
        }
    }
    // Of equal elements the first is what is predicted.
    let labels = Target::Labels(vec![0, 1, 2]);
    check(LOSSES[2], &Tensor::new(&[3, 3], vec![0.5; 9]), &labels);
}

#[test]
fn against_targets() {
    for loss in &LOSSES[2..] {
        for shape in [vec![3, 5], vec![2, 3, 4, 4], vec![7, 1, 5, 3]] {
            let x = Tensor::random(&shape, 1);
            let target = Tensor::random(&shape, 2);
            check(*loss, &x, &Target::Values(Tensor::from_fn(&shape, |i| f64::from(target.data[i].abs() as f32))));
        }
    }
}

/// Shares that sum to one, as a mix of two labels has them, and shares that do not.
#[test]
fn against_shares_of_classes() {
    for loss in &LOSSES[..2] {
        for (samples, classes) in [(1, 2), (7, 3), (64, 10), (5, 41)] {
            let x = Tensor::random(&[samples, classes], 1);
            let mixed = Tensor::from_fn(&x.shape, |i| match (i % classes, i / classes % classes) {
                (class, first) if class == first => f64::from(0.7f32),
                (class, first) if class == (first + 1) % classes => f64::from(0.3f32),
                _ => 0.0,
            });
            check(*loss, &x, &Target::Values(mixed));
            let any = Tensor::random(&x.shape, 2);
            check(*loss, &x, &Target::Values(Tensor::from_fn(&x.shape, |i| f64::from(any.data[i].abs() as f32))));
        }
    }
    // Of equal logits the first is what is predicted, and of equal shares the first what is right.
    let halves = Target::Values(Tensor::new(&[2, 3], vec![0.5, 0.5, 0.0, 0.0, 0.5, 0.5]));
    check(LOSSES[0], &Tensor::new(&[2, 3], vec![0.5; 6]), &halves);
}

#[test]
fn a_label_outside_the_classes_cannot_go_unnoticed() {
    let gpu = gpu();
    for loss in LOSSES {
        let mut g = Graph::new();
        let x = g.parameter("x", [2, 3], Init::Constant(0.5)).unwrap();
        let labels = g.input("labels", [2], Element::U32);
        let mask = g.input("mask", [2], Element::F32);
        g.loss(loss, x, labels, mask).unwrap();
        let plan = Plan::new(g, &Policy::raw(), gpu.plan_options()).unwrap();
        let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
        session.step(0, &[bytemuck::cast_slice(&[1u32, 3]), bytemuck::cast_slice(&[1.0f32; 2])]).unwrap();
        assert!(session.finished().unwrap().pop().unwrap().f32(0).is_nan(), "{loss:?}");
    }
}

#[test]
fn misfits() {
    let mut g = Graph::new();
    let x = g.input("x", [2, 3], Element::F32);
    let labels = g.input("labels", [2], Element::U32);
    let three = g.input("three", [3], Element::U32);
    let mask = g.input("mask", [2], Element::F32);
    assert!(g.loss(Loss::CrossEntropy { smoothing: 1.5 }, x, labels, mask).is_err());
    assert!(g.loss(Loss::CrossEntropy { smoothing: 0.1 }, x, mask, mask).is_err());
    assert!(g.loss(Loss::CrossEntropy { smoothing: 0.1 }, x, x, mask).is_ok());
    assert!(g.loss(LOSSES[2], x, three, mask).is_err());
    assert!(g.loss(LOSSES[2], x, mask, mask).is_err());
    assert!(g.loss(LOSSES[2], x, x, mask).is_ok());
}
