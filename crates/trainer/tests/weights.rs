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

    std::fs::write(desk.path("with.safetensors"), "nothing that is known").unwrap();
    assert!(desk.fails(2, &["eval", "with.toml"]).contains("is damaged"));
}

#[test]
fn evaluations_and_predictions_need_no_training_settings() {
    let desk = desk();
    let accuracy = evaluate(&desk, &["run"])["accuracy"].clone();
    let net = "[data]\nset = \"digits\"\n[model]\nnet = \"resnet8\"\nweights = \"run/weights.safetensors\"\n";
    std::fs::write(desk.path("net.toml"), net).unwrap();
    assert_eq!(evaluate(&desk, &["net.toml"])["accuracy"], accuracy);
    image::GrayImage::new(8, 8).save(desk.path("a.png")).unwrap();
    assert_eq!(desk.ok(&["predict", "net.toml", "a.png"]), desk.ok(&["predict", "run", "a.png"]));
    assert!(desk.fails(2, &["train", "net.toml"]).contains("`optimizer.lr` is missing"));
}

/// Ten classes, but a photo of one alone, normalised as somebody else did.
#[test]
fn a_set_to_judge_by_needs_no_training_images() {
    let desk = desk();
    // As other programs write them, who say nothing of classes.
    write(&desk.path("with.safetensors"), &read(&desk.path("run/weights.safetensors")));
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

/// Every kind of file that people have weights in, by its first bytes.
#[test]
fn weights_in_other_formats_are_named_with_what_to_do() {
    let desk = Desk::new();
    let config = DIGITS.replace("[model]", "[model]\nweights = \"net.bin\"");
    std::fs::write(desk.path("with.toml"), config).unwrap();
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 46830571\n".as_slice();
    let files: [(&[u8], &str, &str); 8] = [
        (pointer, "a Git LFS pointer to a file of 46830571 bytes", "git lfs pull"),
        (b"PK\x03\x04\0\0\0\0\0\0archive/data.pkl", "a pickle, as PyTorch writes it", "weights_only=True"),
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9", "a pickle, as PyTorch writes it", "torch.load(\"net.bin\""),
        (b"\x08\x08\x12\x07pytorch\x1a\x052.4.0", "an ONNX graph", "onnx.load(\"net.bin\").graph.initializer"),
        (b"\x89HDF\r\n\x1a\n\0\0\0\0", "a file of Keras (HDF5", "keras.models.load_model(\"net.bin\")"),
        (b"GGUF\x03\0\0\0\0\0\0\0", "a GGUF file", "the safetensors file that it was made from"),
        (b"PK\x03\x04\x2d\0\0\0\0\0fc.weight.npy", "a file of NumPy arrays", "numpy.load(\"net.bin\")"),
        (b"", "empty", "anew"),
    ];
    for (bytes, what, how) in files {
        std::fs::write(desk.path("net.bin"), bytes).unwrap();
        for arguments in [&["train", "with.toml", "--out", "run"][..], &["eval", "with.toml"], &["inspect", "net.bin"]]
        {
            let text = desk.fails(2, arguments);
            let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(joined.contains(what) && joined.contains("not a safetensors file"), "{what}: {text}");
            assert!(joined.contains(how), "{how}: {text}");
        }
        assert!(!desk.path("run").exists());
    }
}

#[test]
fn what_wrappers_put_before_names_is_ignored_and_two_tensors_are_not_one() {
    let desk = desk();
    let tensors = read(&desk.path("run/weights.safetensors"));
    let accuracy = evaluate(&desk, &["run"])["accuracy"].clone();
    let renamed = |name: &dyn Fn(&str) -> String| -> Vec<Tensor> {
        tensors.iter().cloned().map(|tensor| (name(&tensor.0), tensor.1, tensor.2, tensor.3)).collect()
    };
    for prefix in ["module.", "_orig_mod.", "model.", "model.module._orig_mod."] {
        write(&desk.path("with.safetensors"), &renamed(&|name| format!("{prefix}{name}")));
        assert_eq!(evaluate(&desk, &["with.toml"])["accuracy"], accuracy, "{prefix}");
    }
    // Whatever it is that is missing, its name is that of the net.
    let mut some = renamed(&|name| format!("_orig_mod.{name}"));
    some.retain(|tensor| tensor.0 != "_orig_mod.fc.bias");
    write(&desk.path("with.safetensors"), &some);
    assert!(desk.fails(2, &["eval", "with.toml"]).contains("the file lacks `fc.bias`"));
    let mut twice = tensors.clone();
    twice.extend(renamed(&|name| format!("module.{name}")).into_iter().filter(|tensor| tensor.0 == "module.fc.weight"));
    write(&desk.path("with.safetensors"), &twice);
    let text = desk.fails(2, &["train", "with.toml"]);
    assert!(text.contains("both `fc.weight` and `module.fc.weight` could be `fc.weight`"), "{text}");
}

#[test]
fn weights_that_are_no_numbers_are_refused_before_anything_runs() {
    let desk = desk();
    let tensors = read(&desk.path("run/weights.safetensors"));
    let with = |change: &dyn Fn(&Tensor) -> Tensor| {
        let changed: Vec<Tensor> = tensors
            .iter()
            .map(|tensor| if tensor.0 == "fc.weight" { change(tensor) } else { tensor.clone() })
            .collect();
        write(&desk.path("with.safetensors"), &changed);
    };
    for (value, shown) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        with(&|tensor| {
            let mut tensor = tensor.clone();
            tensor.3[8..12].copy_from_slice(&value.to_le_bytes());
            tensor
        });
        for arguments in [&["train", "with.toml", "--out", "none"][..], &["eval", "with.toml"]] {
            let text = desk.fails(2, arguments);
            assert!(text.contains("`fc.weight` in") && text.contains(&format!("holds {shown}")), "{text}");
        }
        assert!(!desk.path("none").exists());
    }
    for (dtype, shown) in [(Dtype::F8_E4M3, "F8_E4M3"), (Dtype::I8, "I8")] {
        with(&|tensor| cast(tensor, dtype, |x| x as i8));
        let text = desk.fails(2, &["eval", "with.toml"]);
        assert!(text.contains(&format!("`fc.weight` has numbers of type {shown}, which are not read")), "{text}");
        assert!(text.contains("scales"), "{text}");
    }
    // Numbers, but too large to answer with.
    with(&|tensor| cast(tensor, Dtype::F32, |_| 3e38f32));
    std::fs::create_dir(desk.path("pictures")).unwrap();
    image::GrayImage::from_fn(8, 8, |x, y| image::Luma([(x * y * 5) as u8])).save(desk.path("pictures/a.png")).unwrap();
    for arguments in [&["eval", "with.toml"][..], &["predict", "with.toml", "pictures/a.png"]] {
        let output = desk.frugal(arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{text}");
        assert!(text.contains("which is no answer"), "{text}");
    }
    let text = desk.fails(1, &["eval", "with.toml"]);
    assert!(text.contains("sample 0 of digits"), "{text}");
}

/// Names of classes and the normalisation come along; the run's folder and its data need not.
#[test]
fn weights_say_what_they_learned_from() {
    let desk = desk();
    let run = evaluate(&desk, &["run"]);
    let path = desk.path("run/weights.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = header.metadata().clone().unwrap();
    assert_eq!(metadata.keys().collect::<Vec<_>>(), ["frugal"]);
    let said: Value = serde_json::from_str(&metadata["frugal"]).unwrap();
    assert_eq!((&said["net"], &said["seed"]), (&Value::from("resnet8"), &Value::from(1)));
    let facts = json(&desk.path("run/data.json"));
    for key in ["set", "shape", "class_names", "numbered", "mean", "std"] {
        assert_eq!(said["data"][key], facts[key], "{key}");
    }

    std::fs::copy(&path, desk.path("with.safetensors")).unwrap();
    let step = desk.path("run/checkpoints/step-00000029.safetensors");
    let image = image::GrayImage::from_fn(8, 8, |x, y| image::Luma([if x > 2 && y > 1 { 200 } else { 20 }]));
    image.save(desk.path("a.png")).unwrap();
    let expected = desk.ok(&["predict", "run", "a.png"]);
    let config = std::fs::read_to_string(desk.path("with.toml")).unwrap();
    // Of a set that is nowhere.
    std::fs::write(desk.path("with.toml"), config.replace("set = \"digits\"", "set = \"./nowhere\"")).unwrap();
    for file in ["with.safetensors", step.to_str().unwrap()] {
        let output = desk.frugal(&["predict", "with.toml", "--checkpoint", file, "a.png"]);
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected, "{file}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("mean [0.30543]") && text.contains("as the weights say"), "{text}");
    }
    let report = evaluate(&desk, &["with.toml", "--data", "digits"]);
    assert_eq!((&report["accuracy"], &report["cross_entropy"]), (&run["accuracy"], &run["cross_entropy"]));
    let text = desk.fails(2, &["eval", "with.toml", "--data", "fashion-mnist-small"]);
    assert!(text.contains("does not know the classes `T-shirt/top`"), "{text}");

    // What older versions wrote, and what others may have written, says nothing.
    let tensors = read(&path);
    for text in ["net resnet8, set digits, seed 1", "{\"net\": 3}", "{}"] {
        let views = tensors
            .iter()
            .map(|(name, dtype, shape, bytes)| (name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
        let metadata = std::collections::HashMap::from([("frugal".to_owned(), text.to_owned())]);
        std::fs::write(desk.path("old.safetensors"), safetensors::serialize(views, Some(metadata)).unwrap()).unwrap();
        let output = desk.frugal(&["eval", "resnet.toml", "--checkpoint", "old.safetensors", "--json"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["accuracy"], run["accuracy"]);
        assert!(String::from_utf8(output.stderr).unwrap().contains("which are those of digits"));
    }
}

/// Training with weights whose classes are known.
#[test]
fn a_classifier_that_is_kept_is_for_the_classes_that_it_learned() {
    let desk = desk();
    std::fs::rename(desk.path("run/weights.safetensors"), desk.path("with.safetensors")).unwrap();
    let train = |set: &str, names: &[&str], more: &[&str]| {
        for (index, name) in names.iter().enumerate() {
            let folder = desk.path(set).join(name);
            std::fs::create_dir_all(&folder).unwrap();
            for shade in 0..6 {
                let shade = (20 * index + shade) as u8;
                image::GrayImage::from_pixel(8, 8, image::Luma([shade]))
                    .save(folder.join(format!("{shade}.png")))
                    .unwrap();
            }
        }
        std::fs::write(desk.path(set).join("classes.txt"), names.join("\n")).unwrap();
        let config = std::fs::read_to_string(desk.path("with.toml")).unwrap();
        let own = format!("set = \"./{set}\"\ngrey = true");
        std::fs::write(desk.path("own.toml"), config.replace("set = \"digits\"", &own)).unwrap();
        let output = desk.frugal(&[&["train", "own.toml", "--out", &format!("{set}-{}", more.len())], more].concat());
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap().split_whitespace().collect::<Vec<_>>().join(" "),
        )
    };
    let (code, text) = train("reversed", &["9", "8", "7", "6", "5", "4", "3", "2", "1", "0"], &[]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("in another order") && text.contains("classes.txt"), "{text}");
    assert!(!desk.path("reversed-0").exists());
    let except = ["--set", "model.weights_except=[\"fc\"]"];
    let (code, text) = train("reversed", &["9", "8", "7", "6", "5", "4", "3", "2", "1", "0"], &except);
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains("other classes"), "{text}");
    let (code, text) = train("others", &["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"], &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("warning: the classifier begins with what it learned of other classes"), "{text}");
    assert!(
        text.contains("which are those of others") && text.contains("the weights learned with `mean = [0.30543]`"),
        "{text}"
    );
}
