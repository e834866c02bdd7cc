//! Activations, forward and gradient, on every kernel set, against f64 references; and how few bytes they keep.

use frugal_tensor::codec::{F16, Recompute};
use frugal_tensor::ir::{Element, Graph, Init};
use frugal_tensor::ops::activation::{Activation, RELU6};
use frugal_tensor::{Plan, PlannedSession, Policy};
use frugal_testkit::{Case, STEP, Tensor, compare, gpu};

pub(super) const ALL: [Activation; 9] = [
    Activation::Relu,
    Activation::LeakyRelu { slope: 0.01 },
    Activation::LeakyRelu { slope: 0.3 },
    RELU6,
    Activation::Clamp { low: -1.0, high: 1.0 },
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Gelu,
    Activation::Silu,
];

/// erf by its Taylor series, and by its continued fraction where that converges faster.
fn erf(x: f64) -> f64 {
    if x.abs() < 3.0 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return sum * 2.0 / std::f64::consts::PI.sqrt();
    }
    let mut fraction = 0.0;
    for n in (1..200).rev() {
        fraction = f64::from(n) / 2.0 / (x.abs() + fraction);
    }
    x.signum() * (1.0 - (-x * x).exp() / (std::f64::consts::PI.sqrt() * (x.abs() + fraction)))
}

pub(super) fn reference(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Relu => x.max(0.0),
        Activation::LeakyRelu { slope } => x.max(0.0) + f64::from(slope) * x.min(0.0),
        Activation::Clamp { low, high } => x.clamp(low.into(), high.into()),
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Activation::Tanh => x.tanh(),
        Activation::Gelu => 0.5 * x * (1.0 + erf(x / 2.0_f64.sqrt())),
        Activation::Silu => x / (1.0 + (-x).exp()),
        other => panic!("{other:?} needs a reference"),
    }
}

/// Around zero, around all bounds, and far out.
#[test]
fn activations() {
    for activation in ALL {
        for (shape, scale) in [(vec![1, 1], 1.0), (vec![3, 5], 0.1), (vec![2, 3, 5, 7], 5.0), (vec![2, 41], 60.0)] {
            let x = Tensor::random(&shape, 1);
            let case = Case {
                name: format!("{activation:?} {shape:?}"),
                activations: vec![Tensor::from_fn(&shape, |i| f64::from((x.data[i] * scale) as f32))],
                parameters: vec![],
                build: &|g, v| g.activate(v[0], activation),
                reference: &|t| Tensor::new(&t[0].shape, t[0].data.iter().map(|&x| reference(activation, x)).collect()),
                samples: 100,
                tolerance: 2e-6,
                // Far out slopes are small beside the error of the output that they follow from.
                roundings: if scale > 5.0 { 16.0 } else { 1.0 },
            };
            case.check();
        }
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    let gpu = gpu();
    let x = [f32::NAN, 1e30, -1e30, 89.0, -89.0, 0.0];
    for activation in ALL {
        let mut graph = Graph::new();
        let input = graph.input("x", [1, x.len()], Element::F32);
        let y = graph.activate(input, activation).unwrap();
        graph.mark_metric(y);
        let plan = Plan::new(graph, &Policy::raw(), gpu.plan_options()).unwrap();
        let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
        session.step(0, &[bytemuck::cast_slice(&x)]).unwrap();
        let y = session.finished().unwrap().pop().unwrap();
        assert!(y.f32(0).is_nan(), "{activation:?} of NaN");
        for (i, x) in x.iter().enumerate().skip(1) {
            let (got, wanted) = (f64::from(y.f32(i)), reference(activation, (*x).into()));
            assert!((got - wanted).abs() <= 1e-6 * wanted.abs().max(1.0), "{activation:?} of {x}: {got}, not {wanted}");
        }
    }
}

/// y = activation(x·w), where x is an input and nobody but the activation keeps anything: bytes that wait, per element.
#[test]
fn keeps_as_few_bytes_as_it_can() {
    let gpu = gpu();
    for activation in ALL {
        let mut graph = Graph::new();
        let x = graph.input("x", [8, 64], Element::F32);
        let b = graph.parameter("b", [64], Init::Constant(0.0)).unwrap();
        let x = graph.bias(x, b).unwrap();
        let y = graph.activate(x, activation).unwrap();
        let arriving = graph.input("arriving", [8, 64], Element::F32);
        graph.differentiate(&[(y, Some(arriving))]).unwrap();
        let plan = Plan::new(graph, &Policy::raw(), gpu.plan_options()).unwrap();
        let bits = match activation {
            Activation::Sigmoid | Activation::Tanh | Activation::Gelu | Activation::Silu => 32,
            _ => 1,
        };
        let kept: u64 = plan.stored.iter().map(|stored| plan.graph.value(stored.kept).bytes()).sum();
        assert_eq!(kept, 8 * 64 * bits / 8, "{activation:?}");
    }
}

/// Where x is kept for a reader of its own, y is recomputed from it: the same gradients, fewer bytes.
#[test]
fn made_again_instead_of_kept() {
    let gpu = gpu();
    let data = Tensor::random(&[8, 16], 3);
    let data: Vec<f32> = data.data.iter().map(|x| 4.0 * *x as f32).collect();
    for activation in ALL {
        let run = |policy: &Policy| {
            let mut graph = Graph::new();
            let x = graph.input("x", [8, 16], Element::F32);
            let w = ["v", "w", "u"].map(|name| graph.parameter(name, [16, 16], Init::Uniform { bound: 1.0 }).unwrap());
            let x = graph.linear(x, w[0]).unwrap();
            let y = graph.activate(x, activation).unwrap();
            let (y, z) = (graph.linear(y, w[1]).unwrap(), graph.linear(x, w[2]).unwrap());
            let y = graph.add(y, z).unwrap();
            let arriving = graph.input("arriving", [8, 16], Element::F32);
            let gradients = graph.differentiate(&[(y, Some(arriving))]).unwrap();
            w.iter().for_each(|w| graph.mark_metric(gradients[w]));
            let plan = Plan::new(graph, policy, gpu.plan_options()).unwrap();
            let (kept, control) = (plan.kept_bytes(), plan.uploads().len() > 2);
            let mut session = PlannedSession::new(gpu.clone(), vec![plan], 7).unwrap();
            let bytes: &[u8] = bytemuck::cast_slice(&data);
            let mut uploads: Vec<&[u8]> = vec![bytes, bytes];
            uploads.extend(control.then_some(bytemuck::cast_slice(&STEP) as &[u8]));
            session.step(0, &uploads).unwrap();
            (kept, session.finished().unwrap().pop().unwrap().words)
        };
        let (raw, whole) = run(&Policy::raw());
        let (less, again) = run(&Policy::raw().recompute(Recompute::Cheap));
        assert!(less < raw, "{activation:?}: {less} {raw}");
        assert!(whole == again, "{activation:?}: other gradients");
        // Under a codec the mask stays exact, and gradients come near.
        let (_, coded) = run(&Policy::with(F16).recompute(Recompute::Cheap));
        let of = |words: &[u32]| words.iter().map(|w| f64::from(f32::from_bits(*w))).collect::<Vec<_>>();
        compare(&format!("{activation:?} under f16"), &of(&coded), &of(&whole), 2e-3);
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let mut graph = Graph::new();
    let x = graph.input("x", [2, 3], Element::F32);
    for wrong in [
        Activation::LeakyRelu { slope: -0.1 },
        Activation::LeakyRelu { slope: f32::NAN },
        Activation::Clamp { low: 1.0, high: 1.0 },
        Activation::Clamp { low: f32::NAN, high: 1.0 },
    ] {
        assert!(graph.activate(x, wrong).is_err(), "{wrong:?}");
    }
    assert!(ALL.iter().filter(|activation| !activation.never_decreases()).count() == 2);
}
