//! Nets that make images, through the program. Needs an adapter; the software one will do.

mod common;

use common::{Desk, json};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Three epochs under a little noise.
const SETTINGS: [&str; 8] = [
    "--set",
    "optimizer.kind=adam",
    "--set",
    "optimizer.lr=0.01",
    "--set",
    "train.epochs=3",
    "--set",
    "data.noise=0.1",
];

fn train(desk: &Desk, net: &str, out: &str, more: &[&str]) -> Value {
    let config = common::DIGITS.replace("\"lenet\"", &format!("\"{net}\"")).replace("momentum = 0.9\n", "");
    fs::write(desk.path("images.toml"), config).unwrap();
    desk.ok(&[&["train", "images.toml", "--out", out][..], &SETTINGS, more].concat());
    json(&desk.path(out).join("summary.json"))
}

fn records(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_auto_encoder_is_judged_by_how_far_its_images_are_off() {
    let desk = Desk::new();
    let summary = train(&desk, "autoencoder", "run", &["--tensorboard", "--set", "seed=3"]);
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{value}"));
    let records = records(&desk.path("run"));
    assert!(records.iter().all(|record| record.get("accuracy").is_none() && record.get("test_accuracy").is_none()));
    let losses: Vec<f64> = records.iter().filter(|r| r["kind"] == "epoch").map(|r| number(&r["test_loss"])).collect();
    let last = losses[losses.len() - 1];
    assert!(losses.len() == 3 && last < losses[0] && last < 0.1, "{losses:?}");
    assert!(summary.get("test_accuracy").is_none(), "{summary}");
    let best = losses.iter().copied().fold(f64::MAX, f64::min);
    assert_eq!((number(&summary["test_loss"]), number(&summary["best"][1])), (last, best));
    assert!((number(&summary["test_psnr"]) + 10.0 * last.log10()).abs() < 1e-9);

    // The same in double precision on the host, under the same noise.
    let evaluation = &summary["evaluation"];
    assert!((number(&evaluation["squared_error"]) / last - 1.0).abs() < 1e-4, "{evaluation} {losses:?}");
    let report: Value = serde_json::from_str(&desk.ok(&["eval", "run", "--json"])).unwrap();
    assert_eq!(report["squared_error"], evaluation["squared_error"]);
    let text = desk.ok(&["eval", "run"]);
    assert!(text.contains("PSNR") && text.contains("360 samples") && !text.contains("accuracy"), "{text}");
    let text = desk.ok(&["inspect", "run"]);
    assert!(text.contains("best        loss 0.0"), "{text}");

    // What it makes of a picture is a picture; none is written over another.
    let picture =
        image::GrayImage::from_fn(8, 8, |x, y| image::Luma([if (2..6).contains(&x) && y > 1 { 230 } else { 0 }]));
    picture.save(desk.path("one.png")).unwrap();
    let text = desk.ok(&["predict", "run", "one.png", "--out", "made"]);
    assert!(text.contains("one.png → made/one-made.png"), "{text}");
    let made = image::open(desk.path("made/one-made.png")).unwrap().into_luma8();
    assert_eq!(made.dimensions(), (8, 8));
    let error = |other: &dyn Fn(usize) -> u8| {
        let pairs = made.as_raw().iter().enumerate().map(|(at, &x)| f64::from(x) - f64::from(other(at)));
        pairs.map(|e| e * e).sum::<f64>()
    };
    assert!(error(&|at| picture.as_raw()[at]) < 0.5 * error(&|_| 0), "it is nothing like its picture");
    assert!(desk.fails(2, &["predict", "run", "one.png", "--out", "made"]).contains("one-made.png"));

    // Pictures of pictures: each first image, what was made of it, what it is.
    let events = fs::read(desk.path("run/events.out.tfevents.1.frugal")).unwrap();
    let shown = events.windows(9).filter(|window| window == b"answers/0").count();
    assert_eq!(shown, losses.len(), "once an epoch");
}

#[test]
fn a_run_that_makes_images_goes_on_to_the_same_bits() {
    let desk = Desk::new();
    let more = ["--tensorboard", "--set", "checkpoint.keep_last=10", "--set", "data.augment.flip=true"];
    let whole = train(&desk, "autoencoder", "whole", &more);
    // As it was after the first epoch.
    let (from, to) = (desk.path("whole"), desk.path("cut"));
    fs::create_dir_all(to.join("checkpoints")).unwrap();
    for file in [
        "config.toml",
        "config.resolved.toml",
        "data.json",
        "metrics.jsonl",
        "metrics.csv",
        "events.out.tfevents.1.frugal",
    ] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
    let first = "checkpoints/step-00000029.safetensors";
    fs::copy(from.join(first), to.join(first)).unwrap();
    desk.ok(&["resume", "cut"]);
    let weights = |run: &Path| fs::read(run.join("weights.safetensors")).unwrap();
    assert!(weights(&from) == weights(&to), "the weights differ");
    assert_eq!(whole["test_loss"], json(&to.join("summary.json"))["test_loss"]);
}

#[test]
fn nets_learn_from_pairs_and_classifiers_do_not() {
    let desk = Desk::new();
    let pairs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/tests/fixtures/own/pairs.npz");
    let set = format!("data.set={}", pairs.display());
    let pairs = ["--set", &set, "--set", "data.batch=3", "--set", "train.epochs=20"];
    for (net, loss) in [("autoencoder", "mse"), ("autoencoder", "mae"), ("autoencoder", "bce"), ("unet", "mse")] {
        let kind = format!("loss.kind={loss}");
        let (out, pairs) = (format!("{net}-{loss}"), if net == "unet" { &[][..] } else { &pairs });
        let summary = train(&desk, net, &out, &[pairs, &["--set", &kind]].concat());
        assert_eq!(summary.get("test_psnr").is_some(), loss == "mse");
        let losses: Vec<f64> = records(&desk.path(&out)).iter().filter_map(|r| r["test_loss"].as_f64()).collect();
        assert!(losses.last().unwrap() < losses.first().unwrap(), "{out}: {losses:?}");
        // As far off as a grey that suits neither dark nor light values would be.
        assert!(summary["evaluation"]["squared_error"].as_f64().unwrap() < 0.15, "{out}: {}", summary["evaluation"]);
    }
    let text = desk.fails(1, &["train", "digits.toml", "--set", &set]);
    assert!(text.contains("pairs of images and no labels"), "{text}");
    let text = desk.fails(2, &["train", "images.toml", "--set", "loss.kind=cross-entropy"]);
    assert!(text.contains("cross-entropy is for classes"), "{text}");
}
