//! Runs that stop and go on: killed, interrupted, with damaged files. Needs an adapter; the software one will do.

#[path = "../common/mod.rs"]
mod common;

mod changed;
mod checkpoints;
#[cfg(target_os = "linux")]
mod disks;
mod ends;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod faults;
mod kills;
mod lies;
mod longer;
mod resumed;

use common::{Desk, json};
use frugal_trainer::artifacts::tiles::VARIABLE;
use frugal_trainer::state::checkpoint::{self, Checkpoint};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Two epochs of 30 steps with a checkpoint every seven.
const SETTINGS: [&str; 8] = [
    "--set",
    "train.epochs=2",
    "--set",
    "checkpoint.every_steps=7",
    "--set",
    "train.eval_every_steps=11",
    "--set",
    "train.tensorboard=true",
];

/// All that has a state of its own or depends on where a run stands: 23 batches an epoch in 12 updates, and checkpoints between
/// the two batches of an update.
const RECIPE: [&str; 7] = [
    "store.default=error-bounded",
    "train.accumulate=2",
    "train.ema=0.9",
    "data.validation=0.2",
    "data.augment.pad_crop=1",
    "data.augment.cutout=2",
    "data.augment.mixup=0.4",
];

/// Each as an argument.
fn sets<'a>(settings: &[&'a str]) -> Vec<&'a str> {
    settings.iter().flat_map(|setting| ["--set", setting]).collect()
}

fn start(desk: &Desk, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_frugal"));
    command.args(arguments).env(VARIABLE, "").current_dir(desk.path(""));
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The steps of a run's metrics, without what depends on the clock.
fn records(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let timeless = |line: &str| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        for key in ["samples_per_second", "data_wait_ms", "seconds"] {
            record.as_object_mut().unwrap().remove(key);
        }
        record
    };
    text.lines().map(timeless).collect()
}

const EVENTS: &str = "events.out.tfevents.1.frugal";

/// The lengths of the records of TensorBoard's file: times and paces have a fixed width, so they are those of equal runs.
fn event_lengths(run: &Path) -> Vec<u64> {
    let bytes = fs::read(run.join(EVENTS)).unwrap();
    let (mut at, mut lengths) = (0, Vec::new());
    while at < bytes.len() {
        lengths.push(u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()));
        at += 16 + *lengths.last().unwrap() as usize;
    }
    assert!(at == bytes.len() && lengths.len() > 10, "the file ends within a record");
    lengths
}

fn checkpoints(run: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(run.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with("step-"));
    paths.sort();
    paths
}

fn newest(run: &Path) -> Checkpoint {
    checkpoint::newest(run, |_, _| {}).unwrap().unwrap().1
}

/// Both runs ended with the same bits and wrote the same records.
fn assert_same(one: &Path, other: &Path) {
    let weights = |run: &Path| fs::read(run.join("weights.safetensors")).unwrap();
    assert!(weights(one) == weights(other), "the weights differ");
    assert!(newest(one).tensors == newest(other).tensors, "optimiser state or records differ");
    assert!(records(one) == records(other), "the metrics differ");
    let rows = |run: &Path| fs::read_to_string(run.join("metrics.csv")).unwrap().lines().count();
    assert_eq!(rows(one), rows(other));
    assert!(event_lengths(one) == event_lengths(other), "the event files differ");
    let outcome = |run: &Path| {
        let summary = json(&run.join("summary.json"));
        ["test_accuracy", "test_loss", "validation_accuracy", "train_loss", "steps", "best"]
            .map(|key| summary[key].clone())
    };
    assert_eq!(outcome(one), outcome(other));
}

/// Sends what Ctrl-C sends.
#[cfg(unix)]
fn interrupt(child: &mut Child) {
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
}

#[cfg(not(unix))]
fn interrupt(child: &mut Child) {
    child.kill().unwrap();
}

/// A run as it was right after a step: what it wrote later is taken away.
fn cut(desk: &Desk, from: &str, to: &str, step: u64) -> PathBuf {
    let (from, to) = (desk.path(from), desk.path(to));
    fs::create_dir_all(to.join("checkpoints")).unwrap();
    for file in ["config.toml", "config.resolved.toml", "data.json", "metrics.jsonl", "metrics.csv", EVENTS] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
    for path in checkpoints(&from) {
        if checkpoint::read(&path).unwrap().about.state.step <= step {
            fs::copy(&path, to.join("checkpoints").join(path.file_name().unwrap())).unwrap();
        }
    }
    to
}

/// A run that kept all its checkpoints, every seven steps.
fn whole(desk: &Desk, more: &[&str]) -> PathBuf {
    let keep = ["--set", "checkpoint.keep_last=100"];
    desk.ok(&[&["train", "digits.toml", "--out", "whole"][..], &SETTINGS, &keep, more].concat());
    desk.path("whole")
}
