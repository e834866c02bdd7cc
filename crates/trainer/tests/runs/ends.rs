//! Runs that end before their last epoch: by the user, by what they reached.

use super::common::{Desk, json};
use super::{SETTINGS, assert_same, cut, interrupt, newest, records, sets, start, whole};
use frugal_trainer::state::checkpoint;
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn a_run_ends_when_accuracy_no_longer_rises() {
    let desk = Desk::new();
    // It learns nothing, so no evaluation is better than the first.
    let slow = ["optimizer.lr=1e-12", "train.epochs=9", "train.patience=3"].map(|set| ["--set", set]).concat();
    let run = whole(&desk, &slow);
    let summary = json(&run.join("summary.json"));
    // Evaluations after steps 11, 22, 29 (the first epoch) and 33: three after the first.
    assert_eq!((&summary["stopped_early"], &summary["steps"]), (&Value::from(true), &Value::from(33)));
    assert_eq!(summary["best"][0], 11);
    let kinds = |kind: &str| records(&run).iter().filter(|record| record["kind"] == kind).count();
    assert_eq!((kinds("step"), kinds("evaluation"), kinds("epoch")), (33, 3, 1));
    let best = checkpoint::read(&checkpoint::best(&run)).unwrap();
    assert_eq!(best.about.state.step, 11);
    // From before the last evaluation, and from a checkpoint after which nothing is left to do.
    for (name, step) in [("before", 28), ("after", 29)] {
        let run = cut(&desk, "whole", name, step);
        desk.ok(&["resume", name]);
        assert_same(&desk.path("whole"), &run);
    }
}

/// Wherever it ends, the test set has the last word.
#[test]
fn a_run_that_validation_ends_is_tested() {
    let desk = Desk::new();
    let slow = ["optimizer.lr=1e-12", "train.epochs=9", "train.patience=3", "data.validation=0.2"];
    let run = whole(&desk, &sets(&slow));
    let summary = json(&run.join("summary.json"));
    // Evaluations after steps 11, 22, 23 (the first epoch) and 33.
    assert_eq!((&summary["stopped_early"], &summary["steps"]), (&Value::from(true), &Value::from(33)));
    assert_eq!(summary["test_accuracy"], summary["evaluation"]["accuracy"]);
    let evaluations: Vec<Value> = records(&run).into_iter().filter(|record| record["kind"] != "step").collect();
    let tested: Vec<bool> = evaluations.iter().map(|record| record["test_accuracy"].is_f64()).collect();
    assert_eq!(tested, [false, false, false, true]);
    assert_eq!(summary["best"][1], evaluations[0]["validation_accuracy"]);
}

#[test]
#[cfg(unix)]
fn ctrl_c_finishes_the_step_and_says_how_to_go_on() {
    let desk = Desk::new();
    let epochs = ["--set", "train.epochs=8"];
    let train = |out: &'static str| [&["train", "digits.toml", "--out", out][..], &SETTINGS, &epochs].concat();
    desk.ok(&train("whole"));
    let begin = |out: &'static str| {
        let child = start(&desk, &train(out));
        let first = desk.path(out).join("checkpoints/step-00000007.safetensors");
        let patience = Instant::now();
        while !first.exists() && patience.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(2));
        }
        child
    };
    let mut child = begin("stopped");
    interrupt(&mut child);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(text.contains("go on with `frugal resume stopped`"), "{text}");
    let run = desk.path("stopped");
    let step = newest(&run).about.state.step;
    assert!(text.contains(&format!("stopped after step {step}")), "{text}");
    let last = records(&run).pop().unwrap();
    assert_eq!(last["kind"], "stopped");
    desk.ok(&["resume", "stopped"]);
    assert_same(&desk.path("whole"), &run);

    let mut child = begin("impatient");
    interrupt(&mut child);
    interrupt(&mut child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    desk.ok(&["resume", "impatient"]);
    assert_same(&desk.path("whole"), &desk.path("impatient"));
}

/// In a terminal of its own, as `script` makes one.
#[test]
#[cfg(target_os = "linux")]
fn keys_end_a_run_on_the_dashboard_as_ctrl_c_does_and_the_terminal_is_given_back() {
    use std::io::Write;
    let desk = Desk::new();
    let long = ["--epochs", "12"];
    let whole = whole(&desk, &long);
    let set = [&SETTINGS[..], &long].concat().join(" ");
    for (name, key) in [("ctrl-c", b"\x03"), ("q", b"q")] {
        let frugal = env!("CARGO_BIN_EXE_frugal");
        let call = format!("stty cols 80 rows 24; exec {frugal} train digits.toml --tui --out {name} {set}");
        let mut command = Command::new("script");
        command.args(["-qefc", &call, "/dev/null"]).current_dir(desk.path("")).env("TERM", "xterm-256color");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let run = desk.path(name);
        while !run.join("checkpoints/step-00000007.safetensors").exists() {
            assert!(child.try_wait().unwrap().is_none(), "the run ended too early");
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut keyboard = child.stdin.take().unwrap();
        keyboard.write_all(key).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(130), "{text}");
        let (picture, after) = text.split_once("\x1b[?1049l").unwrap();
        assert!(picture.contains("\x1b[?1049h") && picture.contains("samples/s"), "{picture}");
        assert!(after.contains("\x1b[?25h") && after.contains(&format!("frugal resume {name}")), "{after}");
        let resumed = desk.frugal(&["resume", name, "--tui"]);
        let text = String::from_utf8_lossy(&resumed.stderr);
        assert!(resumed.status.success() && text.contains("no dashboard: standard error is no terminal"), "{text}");
        assert_same(&whole, &run);
    }
}
