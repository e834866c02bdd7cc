//! Every net: its exact parameters, how long its plan takes, and that it trains.

use frugal_model::{IMAGES, LABELS, MASK, Net, StepShape, training_step};
use frugal_tensor::codec::{F16, FrequencySplit, Policy, Recompute, Uniform};
use frugal_tensor::ops::KernelSet;
use frugal_tensor::ops::optimizer::{Optimizer, Sgd};
use frugal_tensor::{Gpu, Graph, Plan, PlanOptions, Session};
use std::time::{Duration, Instant};

const SGD: Optimizer = Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-4 });

/// Name, image, classes, parameters.
const PUBLISHED: &[(&str, [usize; 3], usize, usize)] = &[
    ("lenet", [1, 28, 28], 10, 105_194),
    ("resnet8", [3, 32, 32], 10, 78_042),
    ("resnet20", [3, 32, 32], 10, 272_474),
    ("resnet164", [3, 32, 32], 10, 1_703_258),
    ("alexnet", [3, 224, 224], 1000, 61_100_840),
    ("vgg16", [3, 224, 224], 1000, 138_357_544),
    ("resnet18", [3, 224, 224], 1000, 11_689_512),
    ("resnet50", [3, 224, 224], 1000, 25_557_032),
    ("densenet121", [3, 224, 224], 1000, 7_978_856),
];

fn step(net: Net, image: [usize; 3], classes: usize, batch: usize) -> Graph {
    training_step(net, StepShape { batch, image, classes }, SGD).unwrap()
}

#[test]
fn parameters_are_exact() {
    for net in Net::all() {
        let (_, image, classes, wanted) = PUBLISHED.iter().find(|row| row.0 == net.name).expect("every net has a row");
        let graph = step(*net, *image, *classes, 2);
        let count: usize = graph.parameters().map(|(_, value)| value.shape.elements()).sum();
        assert_eq!(count, *wanted, "{}", net.name);
    }
}

/// The planner must stay far from quadratic: a plan takes milliseconds, but this machine may be busy.
#[test]
fn large_batches_are_planned_quickly() {
    for (name, image, classes, _) in PUBLISHED {
        for policy in [Policy::raw(), Policy::with(FrequencySplit::default())] {
            let start = Instant::now();
            let graph = step(Net::find(name).unwrap(), *image, *classes, 256);
            let plan = Plan::new(graph, &policy, PlanOptions::unlimited(KernelSet::Tiles)).unwrap();
            let took = start.elapsed();
            let transient: u64 = plan.transient_pages.iter().sum();
            let (nodes, kept) = (plan.graph.nodes().len(), plan.kept_bytes());
            println!("{name}: {nodes} nodes, {kept} bytes kept, {transient} transient, planned in {took:?}");
            assert!(took < Duration::from_secs(5), "{name}: {took:?}");
            let layers = plan.layers();
            let by_layer = layers.iter().flat_map(|layer| &layer.kept).map(|value| value.stored_bytes).sum::<u64>();
            assert_eq!(by_layer, kept, "{name}: what each layer keeps adds up to what the step keeps");
        }
    }
}

/// Every net under every codec: the stronger what is made again, the less waits, and what layers keep adds up to it.
#[test]
fn making_values_again_keeps_less_of_every_net() {
    let codecs =
        [Policy::raw(), Policy::with(F16), Policy::with(Uniform::default()), Policy::with(FrequencySplit::default())];
    for (name, image, classes, _) in PUBLISHED {
        let graph = step(Net::find(name).unwrap(), *image, *classes, 16);
        for codec in &codecs {
            let plan = |recompute| {
                let policy = codec.clone().recompute(recompute);
                Plan::new(graph.clone(), &policy, PlanOptions::unlimited(KernelSet::Tiles)).unwrap()
            };
            let [none, cheap, segments] = Recompute::ALL.map(plan);
            let what = format!("{name}, {:?}", codec.default);
            let [before, less, least] = [&none, &cheap, &segments].map(Plan::kept_bytes);
            println!("{what}: {before} bytes kept, cheap {less}, segments {least}");
            // Those two have no norms: what their rectifiers make follows from nothing that waits.
            let normed = !["lenet", "alexnet", "vgg16"].contains(name);
            assert!(less < before || (!normed && less == before), "{what}: cheap {less} of {before}");
            assert!(least <= before, "{what}: segments {least} of {before}");
            let alive = |plan: &Plan| plan.lifetimes.alive().into_iter().max().unwrap();
            assert!(alive(&cheap) <= alive(&none), "{what}: cheap has the lower peak");
            for plan in [cheap, segments] {
                let rebuilt = plan.stored.iter().any(|stored| stored.is_rebuilt());
                // A norm that runs again makes its statistics again, too: a few bytes less without any value made again.
                let saves = plan.kept_bytes() < before - before / 1000;
                assert!(rebuilt == saves, "{what}: made again {rebuilt}, {} of {before} kept", plan.kept_bytes());
                let layers = plan.layers();
                let by_layer = layers.iter().flat_map(|layer| &layer.kept).map(|value| value.stored_bytes).sum::<u64>();
                assert_eq!(by_layer, plan.kept_bytes(), "{what}: what each layer keeps adds up");
            }
        }
    }
}

/// Two steps of a narrow variant, with all that its full width has but the channels.
#[test]
fn every_net_trains() {
    let gpu = Gpu::open(None).expect("the tests need an adapter");
    let small: &[(&str, [usize; 3], usize)] = &[
        ("resnet8", [3, 16, 16], 1),
        ("resnet164", [3, 16, 16], 4),
        ("alexnet", [3, 64, 64], 16),
        ("vgg16", [3, 32, 32], 16),
        ("resnet18", [3, 64, 64], 8),
        ("resnet50", [3, 64, 64], 8),
        ("densenet121", [3, 64, 64], 8),
    ];
    for &(name, image, narrow) in small {
        let net = Net::find(name).unwrap().narrowed(narrow);
        let mut losses = Vec::new();
        let split = || Policy::with(FrequencySplit::default());
        let again = [split().recompute(Recompute::Cheap), Policy::raw().recompute(Recompute::Segments)];
        for policy in [Policy::raw(), split()].into_iter().chain(again) {
            let start = Instant::now();
            let plan = Plan::new(step(net, image, 10, 2), &policy, gpu.plan_options()).unwrap();
            let mut session = Session::new(gpu.clone(), vec![plan], 0).unwrap();
            let pixels: usize = image.iter().product();
            let images: Vec<f32> = (0..2 * pixels).map(|i| ((i * 37 % 101) as f32) / 50.0 - 1.0).collect();
            let words = |words: [u32; 2]| words.to_vec();
            let mut found = Vec::new();
            for count in 0..2u32 {
                let control = vec![count, 0, 0.01f32.to_bits(), 0];
                let (labels, mask) = (words([3, 7]), words([1.0f32.to_bits(); 2]));
                let plan = &session.plans()[0];
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
                found.extend(session.step(0, &uploads).unwrap());
            }
            found.extend(session.finished().unwrap());
            let of_step: Vec<f32> = found.iter().map(|metrics| metrics.f32(0)).collect();
            println!("{name}: losses {of_step:?}, {:?}", start.elapsed());
            assert!(of_step.iter().all(|loss| loss.is_finite()), "{name}: {of_step:?}");
            assert_ne!(of_step[0], of_step[1], "{name} did not move");
            losses.push(of_step[0]);
        }
        // What waits for the backward pass does not touch the forward pass.
        assert!(losses.iter().all(|loss| *loss == losses[0]), "{name}: {losses:?}");
    }
}
