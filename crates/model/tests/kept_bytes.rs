//! The raw baseline is honest: it keeps no more than PyTorch does, by the figures of `tools/pytorch/kept_bytes.py`.

use frugal_model::{Net, StepShape, training_step};
use frugal_tensor::codec::{FrequencySplit, Policy, Recompute};
use frugal_tensor::ops::KernelSet;
use frugal_tensor::ops::optimizer::{Optimizer, Sgd};
use frugal_tensor::{Plan, PlanOptions};

const BATCH: usize = 64;

fn kept_per_sample(net: &str, image: [usize; 3], policy: &Policy) -> f64 {
    let classes = if image[1] == 224 { 1000 } else { 10 };
    let shape = StepShape { batch: BATCH, image, classes };
    let optimizer = Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 });
    let graph = training_step(Net::find(net).unwrap(), shape, optimizer).unwrap();
    let plan = Plan::new(graph, policy, PlanOptions::unlimited(KernelSet::Tiles)).unwrap();
    plan.kept_bytes() as f64 / BATCH as f64
}

#[test]
fn raw_keeps_no_more_than_pytorch() {
    let table = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/pytorch/kept_bytes.json");
    let table: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(table).unwrap()).unwrap();
    let large = [3, 224, 224];
    for (net, image) in [
        ("lenet", [1, 28, 28]),
        ("resnet20", [3, 32, 32]),
        ("resnet164", [3, 32, 32]),
        ("alexnet", large),
        ("vgg11", large),
        ("vgg16", large),
        ("resnet18", large),
        ("resnet34", large),
        ("resnet50", large),
        ("densenet121", large),
        ("mobilenet-v2", large),
        ("efficientnet-lite0", large),
    ] {
        let pytorch = table[net]["per_sample"].as_f64().unwrap();
        let ours = kept_per_sample(net, image, &Policy::raw());
        println!("{net}: {ours} bytes a sample, PyTorch {pytorch}");
        assert!(ours <= pytorch, "{net}: {ours} bytes a sample, PyTorch {pytorch}");
    }
}

/// 2.25 bits an element on large planes; masks, small planes and what stays raw take their share.
#[test]
fn frequency_split_keeps_a_tenth() {
    let image = [3, 32, 32];
    let ratio = kept_per_sample("resnet20", image, &Policy::raw())
        / kept_per_sample("resnet20", image, &Policy::with(FrequencySplit::default()));
    assert!(ratio > 10.0, "{ratio}");
}

/// Of convolution, norm and rectifier one coded value and one bit wait, instead of two coded values and one bit.
#[test]
fn cheap_keeps_a_third_less() {
    let large = [3, 224, 224];
    let split = || Policy::with(FrequencySplit::default());
    for (net, image, most) in [("resnet20", [3, 32, 32], 0.75), ("resnet50", large, 0.65), ("densenet121", large, 0.47)]
    {
        let kept = kept_per_sample(net, image, &split().recompute(Recompute::Cheap));
        let ratio = kept / kept_per_sample(net, image, &split());
        println!("{net}: {kept} bytes a sample, {ratio} of what the codec alone keeps");
        assert!(ratio < most, "{net}: {ratio}");
    }
}
