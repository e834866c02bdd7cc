//! Runs that stop and go on: killed, interrupted, with damaged files. Needs an adapter; the software one will do.

mod common;

use common::{Desk, json};
use frugal_trainer::checkpoint::{self, Checkpoint};
use frugal_trainer::run::tiles::VARIABLE;
use proptest::prelude::*;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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

/// Numbers that look like chance, from 0 to 1.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
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

/// Trains in `name`, is stopped at random moments within the time that a run takes, each time resumed, and in the end left
/// alone. Every third time it is asked to stop, all others it is killed.
fn killed(desk: &Desk, name: &str, train: &[&str], whole: Duration, chance: &mut Chance, times: usize) -> usize {
    let run = desk.path(name);
    let (mut kills, mut within_evaluation) = (0, 0);
    for time in 1..=times {
        let resumable = run.join("config.resolved.toml").exists();
        let mut child = if resumable { start(desk, &["resume", name]) } else { start(desk, train) };
        std::thread::sleep(whole.mul_f64(chance.next()));
        match time % 3 {
            0 => interrupt(&mut child),
            _ => child.kill().unwrap(),
        }
        let status = child.wait().unwrap();
        if run.join("summary.json").exists() {
            // It was faster: another one from the beginning.
            fs::remove_dir_all(&run).unwrap();
            continue;
        }
        kills += 1;
        if status.code() == Some(130) && newest(&run).about.standing.pending {
            within_evaluation += 1;
        }
        if !run.join("config.resolved.toml").exists() && run.exists() {
            // Killed before it had written down what it is.
            fs::remove_dir_all(&run).unwrap();
        }
    }
    let resume = ["resume", name];
    desk.ok(if run.join("config.resolved.toml").exists() { &resume } else { train });
    println!("{name}: stopped {kills} times, {within_evaluation} of them within an evaluation");
    kills
}

fn kill_and_compare(cases: &[&[&str]], times: usize, seed: u64) {
    let desk = Desk::new();
    let mut chance = Chance(seed);
    let mut kills = 0;
    for case in cases {
        let arguments =
            |out: &'static str| [&["train", "digits.toml", "--out", out][..], &sets(case), &SETTINGS].concat();
        let begin = Instant::now();
        desk.ok(&arguments("whole"));
        let whole = begin.elapsed();
        kills += killed(&desk, "killed", &arguments("killed"), whole, &mut chance, times);
        assert_same(&desk.path("whole"), &desk.path("killed"));
        for run in ["whole", "killed"] {
            fs::remove_dir_all(desk.path(run)).unwrap();
        }
    }
    println!("{kills} kills");
    assert!(kills > 0, "every run was faster than its killer");
}

/// At random moments, twenty times each. `-- --nocapture` prints how many of them met a run at work.
#[test]
fn a_run_that_is_killed_and_resumed_ends_with_the_same_bits() {
    let stores =
        ["raw", "frequency-split", "error-bounded", "error-bounded+cheap"].map(|s| format!("store.default={s}"));
    let stores = stores.each_ref().map(|store| [store.as_str()]);
    let cases: Vec<&[&str]> = stores.iter().map(|store| &store[..]).chain([&RECIPE[..]]).collect();
    kill_and_compare(&cases, 20, 2);
}

/// A run as it was right after a step: what it wrote later is taken away.
fn cut(desk: &Desk, from: &str, to: &str, step: u64) -> PathBuf {
    let (from, to) = (desk.path(from), desk.path(to));
    fs::create_dir_all(to.join("checkpoints")).unwrap();
    for file in ["config.toml", "config.resolved.toml", "data.json", "metrics.jsonl", "metrics.csv", EVENTS] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
    for path in checkpoints(&from) {
        if checkpoint::read(&path).unwrap().about.standing.step <= step {
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

#[test]
fn a_run_goes_on_in_the_middle_of_an_update() {
    let desk = Desk::new();
    let whole = whole(&desk, &sets(&RECIPE));
    // After the first of two batches, after the second, after an epoch that ends with a first one, within the next epoch.
    for step in [7, 14, 23, 28] {
        let name = format!("after-{step}");
        let run = cut(&desk, "whole", &name, step);
        let checkpoint = newest(&run);
        assert_eq!(checkpoint.about.standing.step, step);
        assert!(checkpoint.tensors.contains_key("conv1.weight.average"));
        desk.ok(&["resume", &name]);
        assert_same(&whole, &run);
    }
    // What is watched is the validation accuracy; the test set is for the end.
    let evaluations: Vec<Value> = records(&whole).into_iter().filter(|r| r["kind"] != "step").collect();
    let watched = evaluations.iter().filter_map(|record| record["validation_accuracy"].as_f64());
    let best = json(&whole.join("summary.json"))["best"][1].as_f64().unwrap();
    assert_eq!(watched.fold(0.0, f64::max), best);
    assert_eq!(evaluations.iter().filter(|record| record["test_accuracy"].is_f64()).count(), 1);

    // Made shorter, it ends where it had only validated.
    let run = cut(&desk, "whole", "shorter", 23);
    assert!(newest(&run).about.standing.last.unwrap().test_accuracy.is_none());
    let config = run.join("config.resolved.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("epochs = 2", "epochs = 1")).unwrap();
    desk.ok(&["resume", "shorter"]);
    let summary = json(&run.join("summary.json"));
    assert_eq!(summary["steps"], 23);
    assert_eq!(summary["test_accuracy"], summary["judgement"]["accuracy"]);

    let run = cut(&desk, "whole", "changed", 7);
    let config = run.join("config.resolved.toml");
    fs::write(&config, text.replace("accumulate = 2", "accumulate = 3").replace("cutout = 2", "cutout = 3")).unwrap();
    let text = desk.fails(2, &["resume", "changed"]);
    assert!(text.contains("other settings: data.augment, train.accumulate"), "{text}");
}

/// The scale begins far too large, so that the first steps are skipped; checkpoints lie among them and between the two batches of
/// an update.
#[test]
fn a_run_in_f16_goes_on_with_its_loss_scale() {
    let desk = Desk::new();
    let recipe = ["train.precision=f16", "train.loss_scale=17179869184", "train.accumulate=2", "train.ema=0.9"];
    let devices = String::from_utf8(desk.frugal(&["devices"]).stdout).unwrap();
    if devices.contains("not in shaders") {
        println!("skipped: the adapter has no f16");
        return;
    }
    let whole = whole(&desk, &sets(&recipe));
    let steps: Vec<Value> = records(&whole).into_iter().filter(|record| record["kind"] == "step").collect();
    let skipped = steps.iter().filter(|step| step["skipped"] == true).count() as i32;
    let last = steps.last().unwrap()["loss_scale"].as_f64().unwrap();
    assert!(skipped > 3 && last == 2f64.powi(34 - skipped), "{skipped} steps skipped, {last}");
    for step in [7, 21] {
        let name = format!("after-{step}");
        let run = cut(&desk, "whole", &name, step);
        desk.ok(&["resume", &name]);
        assert_same(&whole, &run);
    }
    let run = cut(&desk, "whole", "changed", 7);
    let config = run.join("config.resolved.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("loss_scale = 17179869184.0", "loss_scale = 2.0")).unwrap();
    assert!(desk.fails(2, &["resume", "changed"]).contains("other settings: train.loss_scale"));
}

#[test]
fn a_run_that_finds_less_room_than_before_does_steps_again_and_ends_with_the_same_bits() {
    let desk = Desk::new();
    // With batch norm, whose statistics move in the step that is done again.
    let whole = whole(&desk, &["--set", "store.default=error-bounded", "--set", "model.net=resnet8"]);
    let run = cut(&desk, "whole", "tight", 14);
    let path = checkpoints(&run).pop().unwrap();
    let mut checkpoint = checkpoint::read(&path).unwrap();
    let overflows = checkpoint.about.standing.discarded.overflows;
    for words in checkpoint.about.capacities.values_mut() {
        *words = *words * 6 / 10;
    }
    fs::write(&path, checkpoint::encode(&checkpoint).unwrap()).unwrap();
    desk.ok(&["resume", "tight"]);
    assert_same(&whole, &run);
    let again = json(&run.join("summary.json"))["coded"]["discarded"]["overflows"].as_u64().unwrap();
    assert!(again > overflows, "nothing overflowed: {again}");
}

#[test]
fn a_damaged_checkpoint_is_put_aside_and_the_one_before_it_serves() {
    let desk = Desk::new();
    let whole = whole(&desk, &[]);
    for name in ["truncated", "empty", "flipped"] {
        let run = cut(&desk, "whole", name, 21);
        let path = checkpoints(&run).pop().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        match name {
            "truncated" => bytes.truncate(bytes.len() - 100),
            "empty" => bytes.clear(),
            _ => *bytes.last_mut().unwrap() ^= 1,
        }
        fs::write(&path, bytes).unwrap();
        let output = desk.frugal(&["resume", name]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {text}");
        assert!(text.contains("step-00000021.safetensors is damaged") && text.contains("after step 14"), "{text}");
        assert_same(&whole, &run);
        assert!(run.join("checkpoints/step-00000021.safetensors.damaged").exists());
    }
    let run = cut(&desk, "whole", "hopeless", 14);
    for path in checkpoints(&run) {
        fs::write(path, "nothing").unwrap();
    }
    let text = desk.fails(2, &["resume", "hopeless"]);
    assert!(text.contains("none of the 2 checkpoints") && text.contains("to begin the run anew"), "{text}");
    assert_eq!(checkpoints(&run).len(), 2);
}

#[test]
fn checkpoints_of_others_are_refused_and_nothing_changes() {
    let desk = Desk::new();
    whole(&desk, &[]);
    let snapshot = |run: &Path| {
        let files = checkpoints(run).into_iter().chain(["metrics.jsonl", "config.resolved.toml"].map(|f| run.join(f)));
        files.map(|path| (fs::read(&path).unwrap(), path)).collect::<Vec<_>>()
    };

    // Another net: the first value that differs, with both shapes.
    desk.ok(&["train", "digits.toml", "--out", "other", "--set", "model.net=resnet8"]);
    let run = cut(&desk, "whole", "run", 7);
    let other = checkpoints(&desk.path("other")).pop().unwrap();
    fs::copy(&other, run.join("checkpoints").join(other.file_name().unwrap())).unwrap();
    let before = snapshot(&run);
    let text = desk.fails(2, &["resume", "run"]);
    assert!(
        text.contains("values of resnet8") && text.contains("`conv1.weight` is 16×1×3×3 there and is 8×1×5×5 here"),
        "{text}"
    );
    assert!(before == snapshot(&run));

    // A later version.
    let run = cut(&desk, "whole", "later", 7);
    let path = checkpoints(&run).pop().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let format = br#"\"format\":1,"#;
    let place = bytes.windows(format.len()).position(|window| window == format).unwrap();
    bytes[place + format.len() - 2] = b'7';
    fs::write(&path, bytes).unwrap();
    let before = snapshot(&run);
    let text = desk.fails(2, &["resume", "later"]);
    assert!(text.contains("has format 7") && text.contains("up to 1") && text.contains("a later one"), "{text}");
    assert!(before == snapshot(&run));

    // Other settings in the run's folder; the length may change.
    let run = cut(&desk, "whole", "changed", 7);
    let change = |from: &str, to: &str| {
        let path = run.join("config.resolved.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(path, text.replace(from, to)).unwrap();
    };
    change("batch = 50", "batch = 25");
    change("seed = 1", "seed = 2");
    assert!(desk.fails(2, &["resume", "changed"]).contains("made with other settings: seed, data.batch"));
    change("batch = 25", "batch = 50");
    change("seed = 2", "seed = 1");
    change("epochs = 2", "epochs = 1");
    desk.ok(&["resume", "changed"]);
    assert_eq!(json(&run.join("summary.json"))["steps"], 29);
}

#[test]
fn what_cannot_be_resumed_says_why() {
    let desk = Desk::new();
    whole(&desk, &[]);
    let text = desk.fails(2, &["resume", "whole"]);
    assert!(text.contains("the run in whole is finished") && text.contains("frugal eval whole"), "{text}");
    assert!(desk.fails(2, &["resume", "nowhere"]).contains("not the folder of a run"));
    fs::create_dir(desk.path("empty")).unwrap();
    assert!(desk.fails(2, &["resume", "empty"]).contains("it has no config.resolved.toml"));

    // The data went away.
    let run = cut(&desk, "whole", "orphan", 0);
    let config = run.join("config.resolved.toml");
    let text = fs::read_to_string(&config).unwrap();
    let root = toml::Value::String(desk.path("no data").display().to_string());
    let lines = text.lines().map(|line| match line.split_once(" = ") {
        Some(("set", _)) => "set = \"mnist\"".to_owned(),
        Some(("root", _)) => format!("root = {root}"),
        _ => line.to_owned(),
    });
    fs::write(&config, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let before = fs::read(run.join("metrics.jsonl")).unwrap();
    let text = desk.fails(1, &["resume", "orphan"]);
    assert!(text.contains("mnist") && text.contains("frugal data get mnist"), "{text}");
    assert!(before == fs::read(run.join("metrics.jsonl")).unwrap());
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

/// Whatever became of the process before: only one that lives keeps others away.
#[test]
fn two_processes_never_work_on_one_run() {
    let desk = Desk::new();
    let train = [&["train", "digits.toml", "--out", "run"][..], &SETTINGS, &["--epochs", "500"]].concat();
    let mut first = start(&desk, &train);
    let run = desk.path("run");
    while !run.join("checkpoints/step-00000007.safetensors").exists() {
        assert!(first.try_wait().unwrap().is_none(), "the run ended too early");
        std::thread::sleep(Duration::from_millis(5));
    }
    let text = desk.fails(2, &["resume", "run"]);
    assert!(text.contains("another process is training the run in run") && text.contains("frugal inspect"), "{text}");
    // Looking is allowed.
    assert!(desk.ok(&["inspect", "run"]).contains("lenet"));
    assert!(first.try_wait().unwrap().is_none(), "the first process was disturbed");
    first.kill().unwrap();
    first.wait().unwrap();
    let config = run.join("config.resolved.toml");
    let text = fs::read_to_string(&config).unwrap();
    let text = text.replace("epochs = 500", "epochs = 1").replace("eval_every_steps = 11", "eval_every_steps = 0");
    fs::write(&config, text).unwrap();
    desk.ok(&["resume", "run"]);
    assert!(run.join("summary.json").exists());
}

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
    assert_eq!(best.about.standing.step, 11);
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
    assert_eq!(summary["test_accuracy"], summary["judgement"]["accuracy"]);
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
    let step = newest(&run).about.standing.step;
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

/// Runs a script as the root of a name space of its own, where it may mount; `None` where the system does not allow that.
fn as_root(desk: &Desk, script: &str) -> Option<(i32, String)> {
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", script]).current_dir(desk.path(""));
        command.env("FRUGAL", env!("CARGO_BIN_EXE_frugal")).output().ok()
    };
    fs::create_dir_all(desk.path("mounted")).unwrap();
    if !unshare("mount -t tmpfs none mounted").is_some_and(|output| output.status.success()) {
        eprintln!("skipped: this system lets nobody mount");
        return None;
    }
    let output = unshare(script)?;
    Some((output.status.code()?, String::from_utf8_lossy(&output.stderr).into_owned()))
}

#[test]
#[cfg(target_os = "linux")]
fn on_a_full_disk_a_run_stops_and_what_was_written_serves_to_go_on() {
    let desk = Desk::new();
    let whole = whole(&desk, &[]);
    // Room for two checkpoints, not for three. With more room the run goes on, and its folder is copied out.
    let train = format!("\"$FRUGAL\" train digits.toml --out mounted/run {}", SETTINGS.join(" "));
    let script = format!(
        "mount -t tmpfs -o size=300k none mounted && {train}; code=$?; ls mounted/run/checkpoints >&2; \
         mount -o remount,size=64m mounted && \"$FRUGAL\" resume mounted/run && cp -r mounted/run saved; exit $code"
    );
    let Some((code, text)) = as_root(&desk, &script) else { return };
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("No space left on device") && text.contains("frugal resume"), "{text}");
    assert!(text.contains("step-00000007.safetensors") && text.contains("after step"), "{text}");
    assert_same(&whole, &desk.path("saved"));
}

/// The same without mounting: a device that is always full takes the place of the metrics.
#[test]
#[cfg(target_os = "linux")]
fn metrics_that_cannot_be_written_stop_a_run() {
    let desk = Desk::new();
    whole(&desk, &[]);
    let run = cut(&desk, "whole", "run", 0);
    fs::remove_file(run.join("metrics.jsonl")).unwrap();
    std::os::unix::fs::symlink("/dev/full", run.join("metrics.jsonl")).unwrap();
    let text = desk.fails(1, &["resume", "run"]);
    assert!(text.contains("metrics.jsonl") && text.contains("No space left on device"), "{text}");
    assert!(text.contains("free some space"), "{text}");
    fs::remove_file(run.join("metrics.jsonl")).unwrap();
    desk.ok(&["resume", "run"]);
    assert_same(&desk.path("whole"), &run);
}

#[test]
#[cfg(target_os = "linux")]
fn a_folder_that_cannot_be_written_to_is_said_before_anything_is_done() {
    let desk = Desk::new();
    let whole = whole(&desk, &[]);
    cut(&desk, "whole", "mounted", 14);
    let script = "mount --bind mounted mounted && mount -o remount,ro,bind mounted && cd . && \
                  \"$FRUGAL\" train digits.toml --out mounted/new; \"$FRUGAL\" resume mounted";
    let Some((code, text)) = as_root(&desk, script) else { return };
    assert_eq!(code, 1, "{text}");
    assert_eq!(text.matches("help: the folder cannot be written to").count(), 2, "{text}");
    assert!(text.contains("choose another (--out)"), "{text}");
    // Nothing was lost.
    desk.ok(&["resume", "mounted"]);
    assert_same(&whole, &desk.path("mounted"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever the bytes, reading a checkpoint ends with a value or an error.
    #[test]
    fn hostile_bytes_are_refused(bytes: Vec<u8>, header in "[ -~]{0,200}") {
        let framed = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &bytes].concat();
        prop_assert!(checkpoint::decode(Path::new("x"), &bytes).is_err());
        prop_assert!(checkpoint::decode(Path::new("x"), &framed).is_err());
    }
}
