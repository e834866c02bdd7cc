//! Finished runs that go on for longer.

use super::common::{Desk, json};
use super::{RECIPE, SETTINGS, checkpoints, event_lengths, interrupt, newest, records, sets, start};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn train(desk: &Desk, out: &str, epochs: &str, settings: &[&str]) -> PathBuf {
    let sets = sets(settings);
    desk.ok(&[&["train", "digits.toml", "--out", out][..], &SETTINGS, &["--epochs", epochs], &sets].concat());
    desk.path(out)
}

fn copy(from: &Path, to: &Path) {
    assert!(std::process::Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
}

/// All that a longer run came to is that of a run which was as long from the beginning.
fn assert_same_state(one: &Path, other: &Path) {
    let weights = |run: &Path| fs::read(run.join("weights.safetensors")).unwrap();
    assert!(weights(one) == weights(other), "the weights differ");
    assert!(newest(one).tensors == newest(other).tensors, "optimiser state or records differ");
    assert_eq!(newest(one).about.state.step, newest(other).about.state.step);
    let outcome = |run: &Path| {
        let summary = json(&run.join("summary.json"));
        ["test_accuracy", "test_loss", "validation_accuracy", "train_loss", "steps", "best", "stopped_early"]
            .map(|key| summary[key].clone())
    };
    assert_eq!(outcome(one), outcome(other));
}

#[test]
fn a_finished_run_goes_on_to_the_bits_of_one_that_was_longer_from_the_beginning() {
    let desk = Desk::new();
    let constant = ["schedule.kind=constant"];
    let step =
        ["schedule.kind=step", "schedule.milestones=[0.5, 1.5]", "schedule.factor=0.5", "store.default=error-bounded"];
    let recipe = [&constant[..], &RECIPE].concat();
    for (name, settings) in [("constant", &constant[..]), ("step", &step), ("recipe", &recipe)] {
        let long = train(&desk, &format!("{name}-long"), "3", settings);
        let run = train(&desk, name, "2", settings);
        let finished = ["summary.json", "weights.safetensors"].map(|file| fs::read(run.join(file)).unwrap());
        let steps = json(&run.join("summary.json"))["steps"].as_u64().unwrap();
        let output = desk.frugal(&["resume", name, "--epochs", "3"]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        assert!(text.contains(&format!("results after step {steps} are kept as summary-step-")), "{text}");
        assert_same_state(&long, &run);
        let kept = [format!("summary-step-{steps:08}.json"), format!("weights-step-{steps:08}.safetensors")];
        assert!(kept.map(|file| fs::read(run.join(file)).unwrap()) == finished, "the finished run's results are gone");
        if name != "recipe" {
            // With validation, the shorter run was tested at its end, the longer one is not.
            assert!(records(&long) == records(&run), "the metrics differ");
            assert!(event_lengths(&long) == event_lengths(&run));
        }
    }
}

#[test]
fn the_cosine_stretches_from_where_the_finished_run_was() {
    let desk = Desk::new();
    let run = train(&desk, "run", "1", &[]);
    desk.ok(&["resume", "run", "--epochs", "2"]);
    let rates: Vec<f64> = records(&run).iter().filter_map(|record| record["learning_rate"].as_f64()).collect();
    // Down to almost nothing after 29 steps; then where a cosine over 58 steps is.
    assert!(rates.len() == 58 && rates[28] < 0.001, "{rates:?}");
    let t = (29.0 - 5.0) / (58.0 - 5.0) * std::f64::consts::PI;
    assert!((rates[29] - 0.05 * 0.5 * (1.0 + t.cos())).abs() < 1e-6, "{rates:?}");
}

#[test]
fn a_run_that_stopped_early_goes_on_with_more_patience() {
    let desk = Desk::new();
    let slow = |patience: &'static str| ["schedule.kind=constant", "optimizer.lr=1e-12", patience];
    let long = train(&desk, "long", "9", &slow("train.patience=5"));
    let run = train(&desk, "run", "9", &slow("train.patience=3"));
    let summary = json(&run.join("summary.json"));
    assert_eq!((&summary["stopped_early"], &summary["since_best"]), (&Value::from(true), &Value::from(3)));
    for more in [["--set", "train.patience=3"], ["--epochs", "20"], ["--set", "train.patience=2"]] {
        let text = desk.fails(2, &[&["resume", "run"][..], &more].concat());
        assert!(text.contains("the run in run is finished") && text.contains("--set train.patience=N"), "{text}");
    }
    desk.ok(&["resume", "run", "--set", "train.patience=5"]);
    assert_same_state(&long, &run);
    assert!(records(&long) == records(&run), "the metrics differ");
    assert_eq!(json(&run.join("summary.json"))["steps"], 55);
}

/// The state after each thing that is done before the longer run's first step, as a kill leaves it.
#[test]
fn a_kill_before_the_longer_run_begins_loses_nothing() {
    let desk = Desk::new();
    let constant = ["schedule.kind=constant"];
    let long = train(&desk, "long", "3", &constant);
    let run = train(&desk, "run", "2", &constant);
    let answer = |name: &str| {
        let evaluation: Value = serde_json::from_str(&desk.ok(&["eval", name, "--json"])).unwrap();
        evaluation["cross_entropy"].clone()
    };
    let before = answer("run");
    let settings = fs::read_to_string(run.join("config.resolved.toml")).unwrap();
    for renamed in 0..=2 {
        let name = format!("killed-{renamed}");
        copy(&run, &desk.path(&name));
        let run = desk.path(&name);
        fs::write(run.join("config.resolved.toml"), settings.replace("epochs = 2", "epochs = 3")).unwrap();
        let names = [
            ("summary.json", "summary-step-00000058.json"),
            ("weights.safetensors", "weights-step-00000058.safetensors"),
        ];
        names[..renamed].iter().for_each(|(from, to)| fs::rename(run.join(from), run.join(to)).unwrap());
        assert_eq!(answer(&name), before, "after {renamed}");
        desk.ok(&["resume", &name]);
        assert_same_state(&long, &run);
        assert!(names.iter().all(|(_, kept)| run.join(kept).exists()), "after {renamed}");
    }

    // Stopped on its way, it answers with its newest checkpoint and not with the weights of the shorter one.
    let mut child = start(&desk, &["resume", "run", "--epochs", "300"]);
    while !checkpoints(&run).iter().any(|path| path.ends_with("step-00000063.safetensors")) {
        assert!(child.try_wait().unwrap().is_none(), "the run ended too early");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    interrupt(&mut child);
    child.wait().unwrap();
    assert_ne!(answer("run"), before);
    assert!(!run.join("weights.safetensors").exists() && !run.join("summary.json").exists());
}
