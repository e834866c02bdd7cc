//! Golden training runs against PyTorch, from the same weights and batches (fixtures by `tools/pytorch/golden.py`).
//!
//! Each figure of a fixture is an f64 result with a `gap`: how far PyTorch's own f32 kernels are from it. Ours may be ten
//! times as far.

use frugal_model::layers::Mode;
use frugal_model::{IMAGES, LABELS, MASK, Net};
use frugal_tensor::graph::{Element, Graph, Kind, ValueId};
use frugal_tensor::ops::KernelSet;
use frugal_tensor::ops::optimizer::{Adam, Optimizer, Sgd};
use frugal_tensor::random::{hash, unit};
use frugal_tensor::{Gpu, Plan, PlanOptions, Policy, Session};
use serde_json::Value as Json;
use std::collections::HashMap;

const CLASSES: usize = 10;

/// The recipe of `tools/pytorch/nets.py`: uniform number i of a stream.
fn uniform(stream: u32, i: usize) -> f32 {
    unit(hash(hash(stream).wrapping_add(i as u32)))
}

fn label(step: u32, n: usize) -> u32 {
    hash(hash(100_000 + step).wrapping_add(n as u32)) % CLASSES as u32
}

struct Batch {
    images: Vec<f32>,
    labels: Vec<u32>,
}

fn batch(step: u32, samples: usize, image: [usize; 3]) -> Batch {
    let size: usize = image.iter().product();
    let labels: Vec<u32> = (0..samples).map(|n| label(step, n)).collect();
    let pixel = |n: usize, j: usize| {
        (uniform(200_000 + step, n * size + j) * 2.0 - 1.0) + (uniform(300_000 + labels[n], j) * 2.0 - 1.0)
    };
    let images = (0..samples * size).map(|i| pixel(i / size, i % size)).collect();
    Batch { images, labels }
}

/// Parameter number `t`, as the recipe fills it.
fn weights(t: u32, name: &str, shape: &[usize]) -> Vec<f32> {
    let elements: usize = shape.iter().product();
    let spread = |i: usize| uniform(t, i) * 2.0 - 1.0;
    let fan_in: usize = shape[1..].iter().product();
    let bound = (6.0 / fan_in as f64).sqrt() as f32;
    let is_norm_scale = shape.len() == 1 && name.ends_with("weight");
    (0..elements)
        .map(|i| match shape.len() {
            1 if is_norm_scale => 1.0 + spread(i) * 0.1,
            1 => spread(i) * 0.1,
            _ => spread(i) * bound,
        })
        .collect()
}

struct Run {
    session: Session,
    parameters: Vec<String>,
    gradients: HashMap<String, ValueId>,
}

fn start(net: &str, image: [usize; 3], samples: usize, optimizer: Optimizer, set: Option<KernelSet>) -> Run {
    let gpu = Gpu::open(None).expect("the tests need an adapter");
    let mut graph = Graph::new();
    let images = graph.input(IMAGES, [samples, image[0], image[1], image[2]], Element::F32);
    let labels = graph.input(LABELS, [samples], Element::U32);
    let mask = graph.input(MASK, [samples], Element::F32);
    let logits = Net::find(net).unwrap().forward(&mut graph, images, CLASSES, Mode::Training).unwrap();
    let loss = graph.cross_entropy(logits, labels, mask).unwrap();
    let gradients = graph.differentiate(&[(loss, None)]).unwrap();
    graph.update(optimizer, &gradients).unwrap();
    let parameters: Vec<(ValueId, String, Vec<usize>)> =
        graph.parameters().map(|(id, value)| (id, value.name.clone(), value.shape.extents().to_vec())).collect();
    for (id, ..) in &parameters {
        graph.mark_metric(gradients[id]);
    }
    let options = PlanOptions { set: set.unwrap_or(gpu.adapter().kernel_set()), ..gpu.plan_options() };
    let plan = Plan::new(graph, &Policy::raw(), options).unwrap();
    let session = Session::new(gpu, vec![plan], 0).unwrap();
    for (t, (_, name, shape)) in parameters.iter().enumerate() {
        session.write(name, &weights(t as u32, name, shape)).unwrap();
    }
    Run {
        session,
        gradients: parameters.iter().map(|(id, name, _)| (name.clone(), gradients[id])).collect(),
        parameters: parameters.into_iter().map(|(_, name, _)| name).collect(),
    }
}

impl Run {
    /// One step; its loss.
    fn step(&mut self, count: u32, rate: f32, batch: &Batch) -> f64 {
        let mask = vec![1.0f32; batch.labels.len()];
        let control = [count, 0, rate.to_bits(), 0];
        let plan = &self.session.plans()[0];
        let uploads: Vec<&[u8]> = plan
            .uploads()
            .into_iter()
            .map(|id| match plan.graph.value(id).name.as_str() {
                IMAGES => bytemuck::cast_slice(&batch.images),
                LABELS => bytemuck::cast_slice(&batch.labels),
                MASK => bytemuck::cast_slice(&mask),
                _ => bytemuck::cast_slice(&control),
            })
            .collect();
        self.session.step(0, &uploads).unwrap();
        let done = self.session.finished().unwrap().pop().unwrap();
        // The metrics come in the order of the values: the loss was made before the gradients.
        f64::from(done.f32(0))
    }
}

fn fixture(net: &str) -> Json {
    let path = format!("{}/tests/fixtures/{net}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(json: &Json) -> Vec<f64> {
    json.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn norm(x: impl Iterator<Item = f64>) -> f64 {
    x.map(|x| x * x).sum::<f64>().sqrt()
}

/// Ten times the peers' gap, but never less than a few roundings.
fn allowed(gap: f64) -> f64 {
    10.0 * gap + 2e-6
}

fn follow(net: &str, image: [usize; 3], run: &Json, set: Option<KernelSet>) {
    let float = |key: &str| run[key].as_f64().unwrap() as f32;
    let optimizer = match run["optimiser"].as_str().unwrap() {
        "SGD" => Optimizer::Sgd(Sgd {
            momentum: float("momentum"),
            nesterov: run["nesterov"].as_bool().unwrap(),
            weight_decay: float("weight_decay"),
        }),
        _ => Optimizer::Adam(Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 }),
    };
    let samples = run["batch"].as_u64().unwrap() as usize;
    let mut ours = start(net, image, samples, optimizer, set);
    let (losses, gaps) = (numbers(&run["losses"]), numbers(&run["losses_gap"]));
    for (step, (wanted, gap)) in losses.iter().zip(&gaps).enumerate() {
        let loss = ours.step(step as u32, float("lr"), &batch(step as u32, samples, image));
        let off = (loss - wanted).abs() / wanted;
        println!("{net} {set:?} step {step}: loss {loss:.6}, PyTorch {wanted:.6}, off by {off:.1e} (gap {gap:.1e})");
        assert!(off <= allowed(*gap), "step {step}: {loss}, not {wanted}: off by {off:e}, gap {gap:e}");
    }
    for kind in ["parameters", "running"] {
        for row in run[kind].as_array().unwrap() {
            let name = row["name"].as_str().unwrap();
            let length = norm(ours.session.read(name).unwrap().into_iter().map(f64::from));
            let wanted = row["norm"].as_f64().unwrap();
            let off = (length - wanted).abs() / wanted;
            assert!(off <= allowed(row["gap"].as_f64().unwrap()), "norm of {name}: {length}, not {wanted}");
        }
    }
}

fn first_gradients(net: &str, image: [usize; 3], first: &Json) {
    let samples = first["batch"].as_u64().unwrap() as usize;
    let step = first["step"].as_u64().unwrap() as u32;
    let still = Optimizer::Sgd(Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 });
    let mut ours = start(net, image, samples, still, None);
    ours.step(0, 0.0, &batch(step, samples, image));
    let file = format!("{}/tests/fixtures/{}", env!("CARGO_MANIFEST_DIR"), first["file"].as_str().unwrap());
    let bytes = std::fs::read(file).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(ours.parameters.len(), tensors.len());
    for row in first["gradients"].as_array().unwrap() {
        let name = row["name"].as_str().unwrap();
        let wanted: Vec<f32> = bytemuck::pod_collect_to_vec(tensors.tensor(name).unwrap().data());
        let got = ours.session.read_value(0, ours.gradients[name]).unwrap();
        assert_eq!(got.len(), wanted.len(), "{name}");
        let off = norm(got.iter().zip(&wanted).map(|(g, w)| f64::from(f32::from_bits(*g)) - f64::from(*w)));
        let off = off / norm(wanted.iter().map(|w| f64::from(*w)));
        let gap = row["gap"].as_f64().unwrap();
        assert!(off <= allowed(gap), "gradient of {name}: off by {off:e} of its norm, PyTorch by {gap:e}");
    }
}

fn golden(net: &str, image: [usize; 3], parameters: usize, sets: &[Option<KernelSet>]) {
    let fixture = fixture(net);
    assert_eq!(fixture["parameters"].as_u64().unwrap() as usize, parameters);
    for first in fixture["first_steps"].as_array().unwrap() {
        first_gradients(net, image, first);
    }
    for set in sets {
        for run in fixture["runs"].as_array().unwrap() {
            follow(net, image, run, *set);
        }
    }
}

#[test]
fn lenet_follows_pytorch() {
    golden("lenet", [1, 28, 28], 105_194, &[None, Some(KernelSet::Tiles)]);
}

#[test]
fn resnet20_follows_pytorch() {
    golden("resnet20", [3, 32, 32], 272_474, &[None]);
}

#[test]
fn parameters_are_counted_exactly() {
    for (name, image, wanted) in [("lenet", [1, 28, 28], 105_194), ("resnet20", [3, 32, 32], 272_474)] {
        let run =
            start(name, image, 1, Optimizer::Sgd(Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 }), None);
        let graph = &run.session.plans()[0].graph;
        let count: usize = graph.parameters().map(|(_, v)| v.shape.elements()).sum();
        assert_eq!(count, wanted, "{name}");
        assert!(graph.values().iter().all(|v| v.kind != Kind::ParameterGradient));
    }
}
