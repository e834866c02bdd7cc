//! Golden training runs against PyTorch, from the same weights and batches (fixtures by `tools/pytorch/golden.py`).
//!
//! Each figure of a fixture is an f64 result with a `gap`: how far PyTorch's own f32 kernels are from it. Ours may be ten
//! times as far.

mod recipe;

use frugal_model::Net;
use frugal_tensor::ir::{KernelSet, Role};
use frugal_tensor::ops::optimizer::{Adam, Optimizer, Sgd};
use recipe::{batch, signed, start, start_with};
use serde_json::Value as Json;

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
        _ => Optimizer::Adam(Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, decoupled: false }),
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

/// The larger nets are wired as torchvision wires them: the first loss, and the norms of gradients all along the net, within
/// 2·10⁻⁴ (ten times the gap, as above), without dropout.
#[test]
fn larger_nets_start_as_pytorchs() {
    for (name, row) in fixture("large_nets").as_object().unwrap() {
        let count = |key: &str| row[key].as_u64().unwrap() as usize;
        let still = Optimizer::Sgd(Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 });
        let net = Net::find(name).unwrap().narrowed(count("narrow")).without_dropout();
        let image = [3, count("extent"), count("extent")];
        let mut ours = start_with(net, image, count("samples"), still, None);
        ours.shift_norms(row["shift"].as_f64().unwrap() as f32);
        let loss = ours.step(0, 0.0, &batch(0, count("samples"), image));
        let wanted = row["loss"].as_f64().unwrap();
        let off = (loss - wanted).abs() / wanted;
        println!(
            "{name}: loss {loss:.6}, PyTorch {wanted:.6}, off by {off:.1e} (gap {:.1e})",
            row["gap"].as_f64().unwrap()
        );
        assert!(off <= allowed(row["gap"].as_f64().unwrap()), "{name}: loss {loss}, not {wanted}");
        let gradients = row["gradients"].as_object().unwrap();
        let worst = gradients.values().map(|pair| pair[1].as_f64().unwrap()).fold(0.0, f64::max);
        for (parameter, pair) in gradients {
            let got = ours.session.read_value(0, ours.gradients[parameter]).unwrap();
            let length = norm(got.iter().map(|g| f64::from(f32::from_bits(*g))));
            let wanted = pair[0].as_f64().unwrap();
            let off = (length - wanted).abs() / wanted;
            assert!(off <= allowed(worst), "{name}: gradient of {parameter}: norm {length}, not {wanted}");
        }
    }
}

/// AlexNet and VGG-11 as they are, whose first dense layers are cut by rows: two losses, and of each gradient its norm and its
/// products with random vectors, which see every element. The momentum of the first step is its gradient.
#[test]
fn alexnet_and_vgg_11_take_steps_at_full_size() {
    for (name, row) in fixture("full_nets").as_object().unwrap() {
        let (extent, samples) = (row["extent"].as_u64().unwrap() as usize, row["samples"].as_u64().unwrap() as usize);
        let momentum = Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 });
        let (net, image) = (Net::find(name).unwrap().without_dropout(), [3, extent, extent]);
        let mut ours = start_with(net, image, samples, momentum, None);
        let largest = ours.session.store().values.iter().map(|value| value.place.size).max().unwrap();
        assert!(largest > ours.session.plans()[0].options.max_binding);
        let (losses, gaps) = (numbers(&row["losses"]), numbers(&row["losses_gap"]));
        let rate = row["rate"].as_f64().unwrap() as f32;
        let first = row["first"].as_u64().unwrap() as u32;
        for (step, (wanted, gap)) in (0..).zip(losses.iter().zip(gaps)) {
            let loss = ours.step(step, rate, &batch(first + step, samples, image));
            let off = (loss - wanted).abs() / wanted;
            println!("{name}, step {step}: loss {loss:.6}, PyTorch {wanted:.6}, off by {off:.1e} (gap {gap:.1e})");
            assert!(off <= allowed(gap), "{name}, step {step}: loss {loss}, not {wanted}");
            if step > 0 {
                continue;
            }
            let gradients = row["gradients"].as_object().unwrap();
            assert_eq!(gradients.len(), ours.parameters.len());
            for (t, parameter) in (0..).zip(&ours.parameters) {
                let gradient = &gradients[parameter];
                let got = ours.session.read(&format!("{parameter}.momentum")).unwrap();
                let wanted = gradient["norm"].as_f64().unwrap();
                let most = wanted * allowed(gradient["gap"].as_f64().unwrap());
                let length = norm(got.iter().map(|&g| f64::from(g)));
                assert!(
                    (length - wanted).abs() <= most,
                    "{name}: gradient of {parameter}: norm {length}, not {wanted}"
                );
                for (k, wanted) in (0..).zip(numbers(&gradient["products"])) {
                    let vector = |i: usize| f64::from(signed(400_000 + 1000 * k + t, i));
                    let product: f64 = got.iter().enumerate().map(|(i, &g)| f64::from(g) * vector(i)).sum();
                    assert!(
                        (product - wanted).abs() <= most,
                        "{name}: gradient of {parameter} times vector {k}: {product}, not {wanted}"
                    );
                }
            }
        }
    }
}

#[test]
fn parameters_are_counted_exactly() {
    for (name, image, wanted) in [("lenet", [1, 28, 28], 105_194), ("resnet20", [3, 32, 32], 272_474)] {
        let run =
            start(name, image, 1, Optimizer::Sgd(Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 }), None);
        let graph = &run.session.plans()[0].graph;
        let count: usize = graph.parameters().map(|(_, v)| v.shape.elements()).sum();
        assert_eq!(count, wanted, "{name}");
        assert!(graph.values().iter().all(|v| v.role != Role::ParameterGradient || v.is_metric()));
    }
}
