//! What trained nets answer, and what checkpoints say of themselves. Needs an adapter; the software one will do.

mod common;

use common::{Desk, json};
use image::GrayImage;
use serde_json::Value;
use std::path::Path;

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_net_is_evaluated_as_its_run_evaluated_it_class_by_class() {
    let desk = Desk::new();
    desk.ok(&["train", "digits.toml", "--out", "run", "--set", "train.epochs=2"]);
    let summary = json(&desk.path("run/summary.json"));
    let report = parse(&desk.ok(&["eval", "run", "--json"]));
    for key in ["samples", "accuracy", "cross_entropy", "classes", "confusion"] {
        assert_eq!(report[key], summary["evaluation"][key], "{key}");
    }
    // The device counted the same answers while it trained.
    assert_eq!(report["accuracy"], summary["test_accuracy"]);
    assert!((report["cross_entropy"].as_f64().unwrap() - summary["test_loss"].as_f64().unwrap()).abs() < 1e-5);

    let rows: Vec<Vec<u64>> = serde_json::from_value(report["confusion"].clone()).unwrap();
    let right: u64 = (0..10).map(|class| rows[class][class]).sum();
    let all: u64 = rows.iter().flatten().sum();
    assert_eq!((all, Value::from(right as f64 / all as f64)), (360, report["accuracy"].clone()));
    for (row, class) in rows.iter().zip(report["classes"].as_array().unwrap()) {
        assert_eq!(class["samples"], row.iter().sum::<u64>());
    }

    let text = desk.ok(&["eval", "run"]);
    let accuracy = format!("accuracy {:.2} %", 100.0 * report["accuracy"].as_f64().unwrap());
    assert!(text.contains(&accuracy) && text.lines().count() > 13, "{text}");
    assert!(desk.ok(&["eval", "run", "--best"]).contains("best.safetensors"));
    desk.ok(&["eval", "run", "--data", "digits"]);
    // Another set of as many classes, but the net learned from images of another size.
    let text = desk.fails(2, &["eval", "run", "--data", "fashion-mnist-small", "--classes-by-number"]);
    assert!(text.contains("fashion-mnist-small are 1×28×28") && text.contains("images of 1×8×8"), "{text}");
    assert!(desk.fails(2, &["eval", "nowhere"]).contains("not the folder of a run"));
}

/// Both files: weights are averages, and a checkpoint has them beside the parameters.
#[test]
fn averages_answer_where_a_run_keeps_them() {
    let desk = Desk::new();
    desk.ok(&["train", "digits.toml", "--out", "run", "--set", "train.ema=0.9"]);
    let summary = json(&desk.path("run/summary.json"));
    for file in ["run/weights.safetensors", "run/checkpoints/step-00000029.safetensors"] {
        let report = parse(&desk.ok(&["eval", "run", "--checkpoint", file, "--json"]));
        assert_eq!(report["accuracy"], summary["test_accuracy"], "{file}");
        assert!(
            (report["cross_entropy"].as_f64().unwrap() - summary["test_loss"].as_f64().unwrap()).abs() < 1e-5,
            "{file}"
        );
    }
}

/// The program sees in a picture file what it saw in the data set.
#[test]
fn predictions_of_test_images_are_those_of_the_evaluation() {
    let desk = Desk::new();
    desk.ok(&["train", "digits.toml", "--out", "run", "--set", "train.epochs=2"]);
    let set = frugal_data::open("digits", Path::new("")).unwrap();
    let rows: Vec<Vec<u64>> =
        serde_json::from_value(json(&desk.path("run/summary.json"))["evaluation"]["confusion"].clone()).unwrap();
    let mut arguments = vec!["predict".to_owned(), "run".to_owned(), "--json".to_owned()];
    for index in 0..set.test.len() {
        let image = GrayImage::from_raw(8, 8, set.test.image(index).unwrap().to_vec()).unwrap();
        image.save(desk.path(&format!("{index}.png"))).unwrap();
        arguments.push(format!("{index}.png"));
    }
    let answers = parse(&desk.ok(&arguments.iter().map(String::as_str).collect::<Vec<_>>()));
    let mut counted = vec![vec![0; 10]; 10];
    for (answer, &label) in answers.as_array().unwrap().iter().zip(set.test.labels()) {
        let classes = answer["classes"].as_array().unwrap();
        let probabilities: Vec<f64> = classes.iter().map(|class| class["probability"].as_f64().unwrap()).collect();
        assert!(probabilities.len() == 5 && probabilities.is_sorted_by(|a, b| a >= b) && probabilities[0] <= 1.0);
        let name = classes[0]["class"].as_str().unwrap();
        counted[label as usize][set.class_names.iter().position(|class| class == name).unwrap()] += 1;
    }
    assert!(counted == rows);

    // Larger, in colour, as JPEG.
    let image = image::open(desk.path("0.png")).unwrap().resize_exact(64, 64, image::imageops::FilterType::Nearest);
    image.into_rgb8().save(desk.path("0.jpg")).unwrap();
    let text = desk.ok(&["predict", "run", "0.jpg"]);
    let first = answers[0]["classes"][0]["class"].as_str().unwrap();
    assert!(text.lines().nth(1).unwrap().ends_with(first), "{text}");

    std::fs::write(desk.path("text.png"), "not a picture").unwrap();
    assert!(desk.fails(1, &["predict", "run", "0.png", "text.png"]).contains("text.png"));
    assert!(desk.fails(1, &["predict", "run", "absent.png"]).contains("absent.png"));
}

#[test]
fn a_checkpoint_says_what_it_is() {
    let desk = Desk::new();
    desk.ok(&["train", "digits.toml", "--out", "run", "--set", "store.default=error-bounded"]);
    let report = parse(&desk.ok(&["inspect", "run", "--json"]));
    // Eight channels and so on: what `frugal plan` says of this net, and each parameter once more as momentum.
    let planned = parse(&desk.ok(&["plan", "digits.toml", "--json"]))["parameters"].clone();
    assert_eq!(report["parameters"], planned);
    let of_kind = |kind: &str| {
        let tensors = report["tensors"].as_array().unwrap().iter().filter(|tensor| tensor["kind"] == kind);
        tensors.map(|tensor| tensor["bytes"].as_u64().unwrap() / 4).sum::<u64>()
    };
    assert_eq!(
        (Value::from(of_kind("parameter")), Value::from(of_kind("optimiser state"))),
        (planned.clone(), planned)
    );
    assert!(of_kind("record") > 0);
    assert_eq!((&report["about"]["net"], &report["about"]["seed"]), (&Value::from("lenet"), &Value::from(1)));

    let text = desk.ok(&["inspect", "run/checkpoints/best.safetensors"]);
    assert!(text.contains("lenet on digits") && text.contains("step 29 of 29") && text.contains("8×1×5×5"), "{text}");
    let text = desk.ok(&["inspect", "run/weights.safetensors"]);
    assert!(text.contains("8×1×5×5") && !text.contains("position"), "{text}");

    std::fs::write(desk.path("broken"), "nothing").unwrap();
    assert!(desk.fails(2, &["inspect", "broken"]).contains("is damaged"));
    assert!(desk.fails(1, &["inspect", "absent"]).contains("absent"));

    // The values of another net.
    desk.ok(&["train", "digits.toml", "--out", "other", "--set", "model.net=resnet8"]);
    let text = desk.fails(2, &["eval", "run", "--checkpoint", "other/weights.safetensors"]);
    assert!(text.contains("values of other/weights.safetensors") && text.contains("8×1×5×5 here"), "{text}");
}
