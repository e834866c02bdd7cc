//! Nets with the weights of other programs: what is read, what is refused, and that nets answer and train with them. Needs an
//! adapter; the software one will do.

mod common;

use common::{DIGITS, Desk, json};
use half::f16;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::Value;
use std::path::Path;

/// A tensor: name, element, extents, bytes.
type Tensor = (String, Dtype, Vec<usize>, Vec<u8>);

fn read(path: &Path) -> Vec<Tensor> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.tensors().into_iter();
    tensors.map(|(name, view)| (name, view.dtype(), view.shape().to_vec(), view.data().to_vec())).collect()
}

fn write(path: &Path, tensors: &[Tensor]) {
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| (name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// The same numbers in another type.
fn cast<T: bytemuck::Pod>(tensor: &Tensor, dtype: Dtype, to: impl Fn(f32) -> T) -> Tensor {
    let (name, _, shape, bytes) = tensor;
    let values: Vec<f32> = bytemuck::pod_collect_to_vec(bytes);
    let cast: Vec<T> = values.into_iter().map(to).collect();
    (name.clone(), dtype, shape.clone(), bytemuck::cast_slice(&cast).to_vec())
}

/// A run of ResNet-8, and a config beside it whose net has weights.
fn desk() -> Desk {
    let desk = Desk::new();
    let resnet = DIGITS.replace("lenet", "resnet8");
    std::fs::write(desk.path("resnet.toml"), &resnet).unwrap();
    std::fs::write(desk.path("with.toml"), resnet.replace("[model]", "[model]\nweights = \"with.safetensors\""))
        .unwrap();
    desk.ok(&["train", "resnet.toml", "--out", "run"]);
    desk
}

fn evaluate(desk: &Desk, what: &[&str]) -> Value {
    serde_json::from_str(&desk.ok(&[&["eval", "--json"], what].concat())).unwrap()
}

#[test]
fn a_config_with_weights_answers_and_trains_without_a_run() {
    let desk = desk();
    let run = evaluate(&desk, &["run"]);
    let tensors = read(&desk.path("run/weights.safetensors"));
    // As PyTorch writes them after `DataParallel`, with its counters.
    let mut named: Vec<Tensor> = tensors.iter().map(|tensor| cast(tensor, Dtype::F64, f64::from)).collect();
    named.iter_mut().for_each(|tensor| tensor.0 = format!("module.{}", tensor.0));
    named.push(("module.bn1.num_batches_tracked".to_owned(), Dtype::I64, vec![], 29i64.to_le_bytes().to_vec()));
    write(&desk.path("with.safetensors"), &named);
    let report = evaluate(&desk, &["with.toml"]);
    assert_eq!((&report["accuracy"], &report["cross_entropy"]), (&run["accuracy"], &run["cross_entropy"]));
    assert!(report["file"].as_str().unwrap().ends_with("with.safetensors"), "{report}");

    // The file may be given by itself; a checkpoint will do.
    for file in ["with.safetensors", "run/weights.safetensors", "run/checkpoints/best.safetensors"] {
        assert_eq!(evaluate(&desk, &["resnet.toml", "--checkpoint", file])["accuracy"], run["accuracy"], "{file}");
    }
    // Sixteen bits are not quite the same.
    let halves: Vec<Tensor> = tensors.iter().map(|tensor| cast(tensor, Dtype::F16, f16::from_f32)).collect();
    write(&desk.path("with.safetensors"), &halves);
    let near =
        evaluate(&desk, &["with.toml"])["cross_entropy"].as_f64().unwrap() - run["cross_entropy"].as_f64().unwrap();
    assert!(near != 0.0 && near.abs() < 0.01, "{near}");

    // A run begins where they are: at a rate of nothing it ends there but for the running statistics.
    desk.ok(&["train", "with.toml", "--out", "further", "--set", "optimizer.lr=1e-12"]);
    let further = json(&desk.path("further/summary.json"));
    assert!((further["test_accuracy"].as_f64().unwrap() - run["accuracy"].as_f64().unwrap()).abs() < 0.1);
    let (before, after) = (read(&desk.path("with.safetensors")), read(&desk.path("further/weights.safetensors")));
    let fc = |tensors: &[Tensor]| tensors.iter().find(|tensor| tensor.0 == "fc.weight").unwrap().clone();
    let widened = cast(&fc(&after), Dtype::F16, f16::from_f32);
    assert!(widened.3 == fc(&before).3);

    let text = desk.fails(2, &["eval", "resnet.toml"]);
    assert!(text.contains("without `model.weights`") && text.contains("--checkpoint FILE"), "{text}");
    assert!(desk.fails(2, &["eval", "with.toml", "--best"]).contains("only a run has"));
    std::fs::remove_file(desk.path("with.safetensors")).unwrap();
    assert!(desk.fails(1, &["train", "with.toml", "--out", "none"]).contains("with.safetensors"));
}

#[test]
fn weights_that_do_not_fit_are_refused_name_by_name() {
    let desk = desk();
    let tensors = read(&desk.path("run/weights.safetensors"));
    let with = |change: &dyn Fn(&mut Vec<Tensor>)| {
        let mut changed = tensors.clone();
        change(&mut changed);
        write(&desk.path("with.safetensors"), &changed);
    };
    with(&|tensors| {
        tensors.retain(|tensor| !tensor.0.starts_with("bn1."));
        tensors.push(("head.weight".to_owned(), Dtype::F32, vec![1], vec![0; 4]));
        tensors.iter_mut().find(|tensor| tensor.0 == "conv1.weight").unwrap().2 = vec![16, 3, 1, 3];
    });
    for verb in ["eval", "train"] {
        let text = desk.fails(2, &[verb, "with.toml"]);
        let said = [
            "do not fit resnet8",
            "`conv1.weight` is 16×3×1×3 there and 16×1×3×3 here",
            "the file lacks `bn1.weight`, `bn1.bias`, `bn1.running_mean`, `bn1.running_var`",
            "the net has no `head.weight`",
            "frugal inspect FILE",
        ];
        said.iter().for_each(|said| assert!(text.contains(said), "no {said} in {text}"));
    }

    // A classifier of other classes.
    with(&|tensors| {
        for tensor in tensors.iter_mut().filter(|tensor| tensor.0.starts_with("fc.")) {
            (tensor.2[0], tensor.3) = (5, tensor.3[..tensor.3.len() / 2].to_vec());
        }
    });
    let text = desk.fails(2, &["train", "with.toml"]);
    assert!(text.contains("has 5 classes, the data 10") && text.contains("weights_except = [\"fc\"]"), "{text}");
    desk.ok(&["train", "with.toml", "--set", "model.weights_except=[\"fc\"]", "--out", "other"]);
    let text = desk.fails(2, &["train", "with.toml", "--set", "model.weights_except=[\"f\"]"]);
    assert!(text.contains("no layer `f`"), "{text}");
    let text = desk.fails(2, &["train", "resnet.toml", "--set", "model.weights_except=[\"fc\"]"]);
    assert!(text.contains("`model.weights`, which is missing"), "{text}");

    std::fs::write(desk.path("with.safetensors"), "PK\x03\x04 a pickle").unwrap();
    assert!(desk.fails(2, &["eval", "with.toml"]).contains("is damaged"));
}

/// Ten classes, but a photo of one alone, normalised as somebody else did.
#[test]
fn a_set_to_judge_by_needs_no_training_images() {
    let desk = desk();
    std::fs::rename(desk.path("run/weights.safetensors"), desk.path("with.safetensors")).unwrap();
    std::fs::create_dir_all(desk.path("photos/test/seven")).unwrap();
    let image = image::GrayImage::from_fn(8, 8, |x, y| image::Luma([if x > 2 && y > 1 { 200 } else { 20 }]));
    image.save(desk.path("photos/test/seven/1.png")).unwrap();
    let names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    std::fs::write(desk.path("photos/classes.txt"), names.join("\n")).unwrap();
    let text = std::fs::read_to_string(desk.path("with.toml")).unwrap();
    let own = "set = \"./photos\"\ngrey = true\nmean = [0.3]\nstd = [0.4]";
    std::fs::write(desk.path("with.toml"), text.replace("set = \"digits\"", own)).unwrap();
    let report = evaluate(&desk, &["with.toml"]);
    assert_eq!((&report["samples"], &report["classes"][7]["samples"]), (&Value::from(1), &Value::from(1)));
    let text = desk.ok(&["predict", "with.toml", "photos/test/seven/1.png"]);
    let likeliest = text.lines().nth(1).unwrap().split_whitespace().last().unwrap().to_owned();
    let row: Vec<u64> = serde_json::from_value(report["confusion"][7].clone()).unwrap();
    assert_eq!(names[row.iter().position(|&count| count == 1).unwrap()], likeliest);
    // Another normalisation, another loss.
    let loss = |set: &str| {
        let text = std::fs::read_to_string(desk.path("with.toml")).unwrap().replace("mean = [0.3]", set);
        std::fs::write(desk.path("other.toml"), text).unwrap();
        evaluate(&desk, &["other.toml"])["cross_entropy"].as_f64().unwrap()
    };
    assert!(loss("mean = [0.3]") != loss("mean = [0.5]"));
    let text = desk.fails(1, &["train", "with.toml"]);
    assert!(text.contains("has no training images"), "{text}");
}
