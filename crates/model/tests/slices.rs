//! Steps in slices along the batch, of every net: the same gradients but for the order of sums, in exactly the bytes that were planned.

use frugal_model::{IMAGES, LABELS, MASK, Net, StepShape, training_step};
use frugal_tensor::codec::{ErrorBounded, F16, FrequencySplit, Policy, Recompute, Slices, Slicing, Uniform};
use frugal_tensor::ops::optimizer::{Optimizer, Sgd};
use frugal_tensor::passes::Pass;
use frugal_tensor::{Gpu, Graph, Plan, PlannedSession};
use std::collections::BTreeMap;
use std::rc::Rc;

/// With momentum: after one step the state is the gradient.
const SGD: Optimizer = Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 });

const BATCH: usize = 16;

fn step(net: &Net, image: [usize; 3]) -> Graph {
    training_step(net, StepShape { batch: BATCH, sample: image.into(), classes: 10 }, SGD).unwrap()
}

/// What one step makes: the loss, and what lives across steps after it.
struct Outcome {
    loss: u32,
    state: BTreeMap<String, Vec<f32>>,
    plan: Plan,
}

fn run(gpu: &Rc<Gpu>, net: &Net, image: [usize; 3], policy: &Policy) -> Outcome {
    let plan = Plan::new(step(net, image), policy, gpu.plan_options()).unwrap();
    let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
    let pixels: usize = image.iter().product();
    let images: Vec<f32> = (0..BATCH * pixels).map(|i| ((i * 37 % 101) as f32) / 50.0 - 1.0).collect();
    let labels: Vec<u32> = (0..BATCH as u32).map(|sample| sample % 10).collect();
    let mask = [1.0f32.to_bits(); BATCH];
    let control = [0, 0, 0.0f32.to_bits(), 0];
    let plan = session.plans()[0].clone();
    let uploads: Vec<&[u8]> = plan
        .uploads()
        .iter()
        .map(|&id| match plan.graph.value(id).name.as_str() {
            IMAGES => bytemuck::cast_slice(&images),
            LABELS => bytemuck::cast_slice(&labels),
            MASK => bytemuck::cast_slice(&mask),
            _ => bytemuck::cast_slice(&control),
        })
        .collect();
    let mut found: Vec<_> = session.step(0, &uploads).unwrap().into_iter().collect();
    found.extend(session.finished().unwrap());
    let stored = plan.graph.values().iter().filter(|value| value.is_persistent());
    let names: Vec<String> = stored.map(|value| value.name.clone()).collect();
    let state = names
        .into_iter()
        .map(|name| {
            let read = session.read(&name).unwrap();
            (name, read)
        })
        .collect();
    Outcome { loss: found[0].words[0], state, plan }
}

fn is_sliced(plan: &Plan) -> bool {
    plan.graph.passes().iter().any(|record| record.pass == Pass::SliceBatch.name())
}

fn norm(x: impl Iterator<Item = f64>) -> f64 {
    x.map(|x| x * x).sum::<f64>().sqrt()
}

/// The largest relative distance of what two runs leave behind, with its name.
fn distance(one: &Outcome, other: &Outcome) -> (f64, String) {
    let mut most = (0.0, String::new());
    for (name, values) in &one.state {
        let other = &other.state[name];
        let gap = norm(values.iter().zip(other).map(|(a, b)| f64::from(*a) - f64::from(*b)));
        let off = gap / norm(values.iter().map(|x| f64::from(*x))).max(1e-30);
        if gap > 0.0 && off > most.0 {
            most = (off, name.clone());
        }
    }
    most
}

#[test]
fn gradients_are_the_same_but_for_the_order_of_sums() {
    let gpu = Gpu::open(None).expect("the tests need an adapter");
    let small: &[(&str, [usize; 3], usize)] = &[
        ("lenet", [1, 28, 28], 1),
        ("resnet8", [3, 16, 16], 1),
        ("resnet20", [3, 16, 16], 1),
        ("vgg-small", [3, 16, 16], 16),
        ("vgg11", [3, 32, 32], 16),
        ("resnet18", [3, 32, 32], 8),
        ("resnet50", [3, 32, 32], 8),
        ("densenet121", [3, 32, 32], 2),
        ("mobilenet-v2", [3, 32, 32], 1),
        ("efficientnet-lite0", [3, 32, 32], 1),
    ];
    for &(name, image, narrow) in small {
        let net = Net::find(name).unwrap().narrowed(narrow);
        let split = || Policy::with(FrequencySplit::default());
        let policies = [
            ("raw", Policy::raw()),
            ("frequency-split", split()),
            ("frequency-split+cheap", split().recompute(Recompute::Cheap)),
            ("f16+segments", Policy::with(F16).recompute(Recompute::Segments)),
            ("uniform", Policy::with(Uniform { bits: 2, group: 64 })),
            ("error-bounded", Policy::with(ErrorBounded::default())),
        ];
        // Groups of the uniform form cross samples: here slices are whole groups of every value.
        let whole_groups = ["resnet8", "resnet20"].contains(&name);
        for (store, policy) in policies.into_iter().filter(|(store, _)| *store != "uniform" || whole_groups) {
            let whole = run(&gpu, &net, image, &policy);
            for (samples, twice) in [(4, 0), (8, u64::MAX)] {
                let slices = Slices::Exactly(Slicing { samples, wide: 0, least_bytes: 0, twice });
                let sliced = run(&gpu, &net, image, &policy.clone().slices(slices));
                assert!(is_sliced(&sliced.plan), "{name}, {store}, {samples}");
                let (off, worst) = distance(&whole, &sliced);
                println!("{name}, {store}, slices of {samples}: off by {off:.1e} ({worst})");
                assert_eq!(
                    whole.loss, sliced.loss,
                    "{name}, {store}, {samples}: the forward pass is the same to the bit"
                );
                assert!(off < 1e-5, "{name}, {store}, slices of {samples}: {worst} is off by {off:e}");
            }
        }
    }
}
