//! Losses, optimisers, schedules and what goes with them, from a config to a trained net. Needs an adapter; the software one
//! will do.

use safetensors::SafeTensors;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const DIGITS: &str = r#"
name = "digits"
[data]
set = "digits"
batch = 64
[model]
net = "lenet"
[train]
epochs = 1
"#;

/// Trains with these settings besides and returns the run's folder.
fn train(folder: &Path, name: &str, settings: &[&str]) -> std::path::PathBuf {
    std::fs::write(folder.join("digits.toml"), DIGITS).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_frugal"));
    command.args(["train", "digits.toml", "--out", name]).current_dir(folder);
    for setting in settings {
        command.args(["--set", setting]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{settings:?}: {}", String::from_utf8_lossy(&output.stderr));
    folder.join(name)
}

fn summary(run: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(run.join("summary.json")).unwrap()).unwrap()
}

fn accuracy(run: &Path) -> f64 {
    summary(run)["test_accuracy"].as_f64().unwrap()
}

/// All weights, one after the other.
fn weights(run: &Path) -> Vec<f32> {
    let bytes = std::fs::read(run.join("weights.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors = tensors.tensors();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let elements = |data: &[u8]| data.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect::<Vec<f32>>();
    tensors.iter().flat_map(|(_, tensor)| elements(tensor.data())).collect()
}

#[test]
fn all_optimizers_losses_and_schedules_learn() {
    let folder = tempfile::tempdir().unwrap();
    let sgd = ["optimizer.lr=0.05", "optimizer.momentum=0.9"];
    for (name, settings, least) in [
        ("adam", vec!["optimizer.kind=adam", "optimizer.lr=0.002"], 0.6),
        ("adamw", vec!["optimizer.kind=adamw", "optimizer.lr=0.002"], 0.6),
        ("rmsprop", vec!["optimizer.kind=rmsprop", "optimizer.lr=0.001"], 0.6),
        ("smoothed", vec![sgd[0], sgd[1], "loss.label_smoothing=0.1"], 0.6),
        ("mse", vec!["optimizer.kind=adam", "optimizer.lr=0.003", "loss.kind=mse", "train.epochs=4"], 0.5),
        ("mae", vec!["optimizer.kind=adam", "optimizer.lr=0.003", "loss.kind=mae", "train.epochs=4"], 0.25),
        ("bce", vec!["optimizer.kind=adam", "optimizer.lr=0.003", "loss.kind=bce", "train.epochs=2"], 0.6),
        ("one-cycle", vec![sgd[0], sgd[1], "schedule.kind=one-cycle"], 0.5),
        ("clipped", vec!["optimizer.lr=0.5", "train.clip_norm=0.5"], 0.5),
        ("stored", vec![sgd[0], sgd[1], "train.clip_norm=1", "train.accumulate=2", "store.default=error-bounded"], 0.2),
    ] {
        let run = train(folder.path(), name, &settings);
        let accuracy = accuracy(&run);
        assert!(accuracy > least, "{name}: {accuracy}");
        let resolved = std::fs::read_to_string(run.join("config.resolved.toml")).unwrap();
        for setting in settings {
            let value = setting.split_once('=').unwrap().1;
            assert!(resolved.contains(value), "{setting} in {resolved}");
        }
    }
}

/// Four batches of 16 are one of 64, the last of an epoch, which has fewer, included; the run allocates less.
#[test]
fn summed_gradients_are_those_of_a_large_batch() {
    let folder = tempfile::tempdir().unwrap();
    for optimizer in ["sgd", "adam"] {
        let settings = |batch, accumulate| {
            let kind = if optimizer == "sgd" { "optimizer.lr=0.05" } else { "optimizer.lr=0.001" };
            let rule = if optimizer == "sgd" { "optimizer.kind=sgd" } else { "optimizer.kind=adam" };
            [rule, kind, "schedule.kind=cosine", batch, accumulate]
        };
        let large =
            train(folder.path(), &format!("{optimizer}-large"), &settings("data.batch=64", "train.accumulate=1"));
        let small =
            train(folder.path(), &format!("{optimizer}-small"), &settings("data.batch=16", "train.accumulate=4"));
        let (a, b) = (weights(&large), weights(&small));
        let squares = |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        let apart = squares(&mut a.iter().zip(&b).map(|(a, b)| a - b)) / squares(&mut a.iter().copied());
        assert!(apart < 1e-4, "{optimizer}: {apart} apart");
        let peak = |run: &Path| summary(run)["bytes"]["peak"].as_u64().unwrap();
        assert!(peak(&small) < peak(&large), "{} {}", peak(&small), peak(&large));
    }
}

/// The average lags behind, and it is what is evaluated and written: with a decay near 1 it is nearly where training began.
#[test]
fn averages_are_what_is_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    let sgd = ["optimizer.lr=0.05", "optimizer.momentum=0.9"];
    let plain = train(folder.path(), "plain", &sgd);
    let near = train(folder.path(), "near", &[sgd[0], sgd[1], "train.ema=0.000001"]);
    let usual = train(folder.path(), "usual", &[sgd[0], sgd[1], "train.ema=0.9"]);
    let frozen = train(folder.path(), "frozen", &[sgd[0], sgd[1], "train.ema=0.999999"]);
    let largest = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(largest(&weights(&plain), &weights(&near)) < 1e-5);
    assert_eq!(accuracy(&plain), accuracy(&near));
    assert!(accuracy(&usual) > 0.5, "{}", accuracy(&usual));
    assert!(accuracy(&frozen) < 0.4, "{}", accuracy(&frozen));
    // The loss of training is that of the weights themselves.
    let loss = |run: &Path| summary(run)["train_loss"].as_f64().unwrap();
    assert_eq!(loss(&plain), loss(&frozen));
}
