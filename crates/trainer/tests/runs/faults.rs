//! Faults injected into runs: every write, sync, rename, open, mkdir, truncation and removal in a run's folder fails once, or fails and
//! goes on failing, or writes half, or is the last thing that the process does.
//!
//! `faults.c` injects them; the test compiles it. There are some thousand cases. A plain run of the tests takes a sample of them, always
//! the same; all of them take some minutes:
//!
//! ```text
//! FRUGAL_FAULTS=all cargo test --release -p frugal-trainer --test runs faults -- --nocapture
//! ```

use super::common::{Desk, json};
use super::{assert_same, checkpoints, cut};
use frugal_trainer::state::checkpoint;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// With `all` in it, every case is tried.
const VARIABLE: &str = "FRUGAL_FAULTS";
/// How many cases of each test a plain run tries.
const SAMPLE: usize = 24;

/// What can befall a call; `faults.c` says what each is.
const KINDS: [&str; 6] = ["enospc", "eio", "full", "short", "kill", "torn"];

/// A run of a blink that has checkpoints, evaluations and growing files, and whose records follow the data.
const CONFIG: &str = r#"
name = "digits"
[data]
set = "digits"
batch = 200
[model]
layers = [{ conv = 4, kernel = 3, padding = 1 }, "batch_norm", "relu", { max_pool = 2 }, "flatten", { linear = "classes" }]
[optimizer]
lr = 0.05
momentum = 0.9
[train]
epochs = 2
tensorboard = true
[checkpoint]
every_steps = 5
[store]
default = "error-bounded"
"#;

/// A call to the system that was made in the folder.
struct Call {
    name: String,
    path: PathBuf,
}

/// What happens when one call fails.
struct Case<'a> {
    kind: &'a str,
    /// Counts from 1.
    at: usize,
}

/// A program that faults are injected into, and a desk to do so.
struct Bench {
    desk: Desk,
    faults: PathBuf,
}

impl Bench {
    /// None where one program may not trace another.
    fn new() -> Option<Self> {
        let desk = Desk::new();
        fs::write(desk.path("digits.toml"), CONFIG).unwrap();
        let (source, faults) =
            (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runs/faults.c"), desk.path("faults-injected"));
        let mut compiler = Command::new("cc");
        let compiled = compiler.args(["-O1", "-o"]).arg(&faults).arg(source).status().unwrap();
        assert!(compiled.success());
        let bench = Self { desk, faults };
        fs::create_dir(bench.work()).unwrap();
        let (output, _) = bench.inject(&Case { kind: "none", at: 0 }, &["nets"]);
        if output.status.code() == Some(125) {
            println!("skipped: {}", String::from_utf8_lossy(&output.stderr).trim());
            return None;
        }
        Some(bench)
    }

    /// The folder in which calls count.
    fn work(&self) -> PathBuf {
        self.desk.path("work")
    }

    /// Calls the program, and lists its calls to the system.
    fn inject(&self, case: &Case<'_>, arguments: &[&str]) -> (Output, Vec<Call>) {
        let log = self.desk.path("calls.txt");
        let mut command = Command::new(&self.faults);
        command.arg(self.work()).arg(case.at.to_string()).arg(case.kind).arg(&log);
        command.arg(env!("CARGO_BIN_EXE_frugal")).args(arguments);
        command.env(super::VARIABLE, "").env("RUST_BACKTRACE", "0").current_dir(self.desk.path(""));
        let output = command.output().unwrap();
        let call = |line: &str| {
            let mut parts = line.splitn(3, ' ').skip(1);
            Some(Call { name: parts.next()?.to_owned(), path: parts.next()?.into() })
        };
        (output, fs::read_to_string(&log).unwrap().lines().filter_map(call).collect())
    }

    /// The work folder as a copy of another one, or empty.
    fn begin(&self, from: Option<&str>) {
        fs::remove_dir_all(self.work()).unwrap();
        match from {
            None => fs::create_dir(self.work()).unwrap(),
            Some(from) => {
                let copied = Command::new("cp").arg("-r").arg(self.desk.path(from)).arg(self.work()).status().unwrap();
                assert!(copied.success());
            }
        }
    }

    /// Tries the cases of a command that works in a copy of `from`; `go_on` gets what the fault left, and how the command ended.
    fn try_all(&self, from: Option<&str>, arguments: &[&str], go_on: impl Fn(&Case<'_>, &Output, &[Call])) {
        self.begin(from);
        let (output, calls) = self.inject(&Case { kind: "none", at: 0 }, arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let possible = |kind: &str, call: &Call| call.name == "write" || !["short", "torn"].contains(&kind);
        let cases: Vec<Case<'_>> = (1..=calls.len())
            .flat_map(|at| KINDS.map(|kind| Case { kind, at }))
            .filter(|case| possible(case.kind, &calls[case.at - 1]))
            .collect();
        let all = std::env::var(VARIABLE).is_ok_and(|value| value == "all");
        let tried = if all { cases.len() } else { SAMPLE.min(cases.len()) };
        for number in 0..tried {
            let case = &cases[number * cases.len() / tried];
            self.begin(from);
            let (output, calls) = self.inject(case, arguments);
            check(case, &output, &calls);
            go_on(case, &output, &calls);
        }
        println!("{}: {} calls; {tried} of {} cases", arguments[..2].join(" "), calls.len(), cases.len());
    }
}

/// It ended as it should: with a message, or killed, never with a panic.
fn check(case: &Case<'_>, output: &Output, calls: &[Call]) {
    let (code, said) = (output.status.code(), String::from_utf8_lossy(&output.stderr));
    let call = calls.get(case.at - 1).map(|call| format!("{} {}", call.name, call.path.display()));
    let what = format!("{} at {}, {call:?}: exit {code:?}\n{said}", case.kind, case.at);
    assert!(!said.contains("panicked"), "{what}");
    let reason = if case.kind == "eio" { "Input/output error" } else { "No space left on device" };
    match (case.kind, code) {
        // What is left over of a write is written next.
        ("short", code) => assert_eq!(code, Some(0), "{what}"),
        ("kill" | "torn", code) => assert_eq!(code, Some(128 + 9), "{what}"),
        (_, Some(0)) => {}
        (_, code) => {
            assert_eq!(code, Some(1), "{what}");
            assert!(said.contains("error:") && said.contains(reason), "{what}");
        }
    }
}

/// The step of the newest checkpoint among these files.
fn newest_step<'a>(paths: impl Iterator<Item = &'a Path>) -> u64 {
    let step = |path: &Path| path.file_stem()?.to_str()?.strip_prefix("step-")?.parse().ok();
    paths.filter_map(step).max().unwrap_or(0)
}

/// After a fault: no checkpoint was lost, and going on gives the same bits.
fn goes_on(bench: &Bench, whole: &Path, before: u64, case: &Case<'_>, calls: &[Call]) {
    let run = bench.work().join("run");
    let what = format!("{} at {}", case.kind, case.at);
    let whole_calls = &calls[..(case.at - 1).min(calls.len())];
    let renamed = whole_calls.iter().filter(|call| call.name == "rename").map(|call| call.path.as_path());
    let held = before.max(newest_step(renamed));
    if held > 0 {
        let (step, _) =
            checkpoint::newest(&run, |_, reason| panic!("{what}: {reason}")).unwrap().expect("a checkpoint");
        assert!(
            step.step >= held,
            "{what}: the checkpoint of step {held} was there, and now that of step {}",
            step.step
        );
    }
    if !run.join("config.resolved.toml").exists() {
        // It had not yet written down what it is.
        assert_eq!(held, 0, "{what}");
        bench.desk.fails(2, &["resume", "work/run"]);
        bench.begin(None);
        bench.desk.ok(&TRAIN);
    } else if !run.join("summary.json").exists() {
        bench.desk.ok(&["resume", "work/run"]);
    }
    assert_same(whole, &run);
    // What was half written is gone.
    let left = |folder: &Path| {
        let names =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.ends_with(".part")).collect::<Vec<_>>()
    };
    assert_eq!((left(&run), left(&run.join("checkpoints"))), (vec![], vec![]), "{what}");
}

const TRAIN: [&str; 4] = ["train", "digits.toml", "--out", "work/run"];

/// The run without any fault, with all its checkpoints.
fn whole(bench: &Bench) -> PathBuf {
    bench.desk.ok(&["train", "digits.toml", "--out", "whole", "--set", "checkpoint.keep_last=100"]);
    bench.desk.path("whole")
}

#[test]
fn whatever_call_of_a_run_fails_it_goes_on_to_the_same_bits() {
    let Some(bench) = Bench::new() else { return };
    let whole = whole(&bench);
    bench.try_all(None, &TRAIN, |case, _, calls| goes_on(&bench, &whole, 0, case, calls));
}

#[test]
fn whatever_call_of_a_resumed_run_fails_it_goes_on_to_the_same_bits() {
    let Some(bench) = Bench::new() else { return };
    let whole = whole(&bench);
    fs::create_dir(bench.desk.path("before")).unwrap();
    let cut = cut(&bench.desk, "whole", "before/run", 10);
    let before = newest_step(checkpoints(&cut).iter().map(PathBuf::as_path));
    assert_eq!(before, 10);
    let resume = ["resume", "work/run"];
    bench.try_all(Some("before"), &resume, |case, _, calls| goes_on(&bench, &whole, before, case, calls));
}

/// The content of the files of a folder whose names begin and end so.
fn contents(folder: &Path, start: &str, end: &str) -> Vec<Vec<u8>> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let fits = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with(start) && name.ends_with(end)
    };
    paths.filter(fits).map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn whatever_call_of_a_run_that_is_made_longer_fails_its_first_results_are_kept() {
    let Some(bench) = Bench::new() else { return };
    let whole = whole(&bench);
    fs::create_dir(bench.desk.path("before")).unwrap();
    let more = ["--epochs", "1", "--set", "checkpoint.keep_last=100"];
    bench.desk.ok(&[&["train", "digits.toml", "--out", "before/run"][..], &more].concat());
    let before = bench.desk.path("before/run");
    let finished = ["summary.json", "weights.safetensors"].map(|file| fs::read(before.join(file)).unwrap());
    let longer = ["resume", "work/run", "--epochs", "2"];
    bench.try_all(Some("before"), &longer, |case, _, _| {
        let run = bench.work().join("run");
        let what = format!("{} at {}", case.kind, case.at);
        assert!(contents(&run, "summary", ".json").contains(&finished[0]), "{what}: the summary is lost");
        assert!(contents(&run, "weights", ".safetensors").contains(&finished[1]), "{what}: the weights are lost");
        let summary = run.join("summary.json");
        if !summary.exists() || json(&summary)["steps"] != 16 {
            bench.desk.ok(&longer);
        }
        assert_same(&whole, &run);
    });
}

/// What a comparison came to, its table and what it found in gradients: without what depends on the clock, and without the room that was
/// planned for sizes that follow the data, in which what came before a stop has no part. None where one of the two is not there.
fn compared(folder: &Path) -> Option<(Value, Value)> {
    let (table, studied) = (folder.join("table.json"), folder.join("gradient_error.json"));
    if !table.exists() || !studied.exists() {
        return None;
    }
    let mut table = json(&table);
    for row in table["stores"].as_array_mut().unwrap() {
        for key in ["milliseconds_per_step", "overhead", "kept_bytes", "kept_ratio", "discarded"] {
            row.as_object_mut().unwrap().remove(key).unwrap();
        }
    }
    Some((table, json(&studied)))
}

/// Folders beside the work for results that their folder does not take.
fn rescued(bench: &Bench) -> Vec<PathBuf> {
    let paths = fs::read_dir(bench.desk.path("")).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("frugal-comparison")).collect()
}

#[test]
fn whatever_call_of_a_comparison_fails_it_goes_on_to_the_same_table() {
    let Some(bench) = Bench::new() else { return };
    let fixed =
        ["compare", "digits.toml", "--stores", "error-bounded", "--epochs", "1", "--set", "train.tensorboard=false"];
    let compare = |out| [&fixed[..], &["--out", out]].concat();
    bench.desk.ok(&compare("whole"));
    let whole = compared(&bench.desk.path("whole"));
    assert!(whole.is_some());
    bench.try_all(None, &compare("work/all"), |case, output, _| {
        let folder = bench.work().join("all");
        let what = format!("{} at {}", case.kind, case.at);
        if !folder.join("config.resolved.toml").exists() {
            bench.begin(None);
            bench.desk.ok(&compare("work/all"));
        } else if output.status.code() != Some(0) {
            let output = bench.desk.frugal(&["resume", "work/all"]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() || said.contains("is finished"), "{what}: {said}");
        }
        let rescued = rescued(&bench);
        let found: Vec<_> = [folder].iter().chain(&rescued).map(|folder| compared(folder)).collect();
        assert!(found.contains(&whole), "{what}: {found:?}, not {whole:?}");
        rescued.iter().for_each(|folder| fs::remove_dir_all(folder).unwrap());
    });
}
