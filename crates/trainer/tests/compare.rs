//! `frugal compare` from outside, and comparisons that go on. Needs an adapter; the software one will do.

#[path = "common/mod.rs"]
mod common;

use common::{Desk, json};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const DIGITS: &str = r#"
[data]
set = "digits"
batch = 50
[model]
net = "lenet"
[optimizer]
lr = 0.05
momentum = 0.9
[train]
epochs = 1
"#;

/// Compares in a folder of its own, and must end with this code. Gives the folder, standard output and standard error.
fn compare(code: i32, options: &[&str]) -> (tempfile::TempDir, String, String) {
    let desk = tempfile::tempdir().unwrap();
    std::fs::write(desk.path().join("digits.toml"), DIGITS).unwrap();
    let call = [&["compare", "digits.toml", "--out", "out"][..], options].concat();
    let output = Command::new(env!("CARGO_BIN_EXE_frugal"))
        .args(call)
        .env("FRUGAL_TILES", "")
        .current_dir(desk.path())
        .output()
        .unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(output.status.code(), Some(code), "{options:?}: {stderr}");
    (desk, stdout, stderr)
}

fn table(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("table.json")).unwrap()).unwrap()
}

#[test]
fn a_comparison_leaves_tables_pictures_and_a_report() {
    let options = ["--stores", "raw,frequency-split:8,4", "--seeds", "2", "--budget", "64MiB"];
    let (desk, text, _) = compare(0, &options);
    assert!(text.contains("frequency-split:8,4 took") && text.contains("batch in 64 MiB"), "{text}");
    let folder = desk.path().join("out");
    let table = table(&folder);
    let row = |row: usize, key: &str| table["stores"][row][key].as_f64().unwrap();
    assert_eq!(table["stores"].as_array().unwrap().len(), 2);
    // Of so small a net the peak is what kernels and buffers need besides, whatever is kept.
    for (key, least) in [("kept_ratio", 1.0), ("kept_ratio_convolutions", 1.0), ("peak_ratio", 0.9)] {
        assert_eq!(row(0, key), 1.0, "{key}");
        assert!(row(1, key) > least, "{key}: {}", row(1, key));
    }
    assert!(row(0, "largest_batch") < row(1, "largest_batch") && table["budget"] == 64 << 20, "{table}");
    let tables = ["table.md", "table.csv", "raw-1/summary.json", "frequency-split-8-4-2/weights.safetensors"];
    let pictures = ["report.html", "accuracy.svg", "accuracy.png", "loss.svg", "memory.png"];
    for file in tables.into_iter().chain(pictures) {
        assert!(folder.join(file).exists(), "{file}");
    }
}

/// A store changes nothing before the first update: with the same samples, augmented alike, the first losses are the same to
/// the bit. What is held out is the same, too.
#[test]
fn every_store_learns_from_the_same_samples_augmented_alike() {
    let augment = ["--set", "data.augment.pad_crop=2", "--set", "data.augment.flip=true"];
    let options = ["--stores", "raw,uniform", "--seeds", "2", "--no-examine", "--set", "data.validation=0.2"];
    let (desk, ..) = compare(0, &[&options[..], &augment].concat());
    let first_loss = |run: &str| {
        let metrics = std::fs::read_to_string(desk.path().join("out").join(run).join("metrics.jsonl")).unwrap();
        let steps = metrics.lines().filter(|line| line.contains("\"kind\":\"step\"")).count();
        // 1,437 samples less 287, in batches of 50.
        assert_eq!(steps, 23, "{run}");
        serde_json::from_str::<Value>(metrics.lines().next().unwrap()).unwrap()["loss"].as_f64().unwrap()
    };
    assert_eq!(first_loss("raw-1"), first_loss("uniform-1"));
    assert_eq!(first_loss("raw-2"), first_loss("uniform-2"));
    assert_ne!(first_loss("raw-1"), first_loss("raw-2"));
    let (plain, ..) = compare(0, &options);
    let metrics = std::fs::read_to_string(plain.path().join("out/raw-1/metrics.jsonl")).unwrap();
    let plain = serde_json::from_str::<Value>(metrics.lines().next().unwrap()).unwrap();
    assert_ne!(plain["loss"].as_f64().unwrap(), first_loss("raw-1"));
    let report = |desk: &tempfile::TempDir| std::fs::read_to_string(desk.path().join("out/report.html")).unwrap();
    assert!(report(&desk).contains("Right answers on what is held out for validation"));
}

#[test]
fn sizes_that_follow_the_data_are_those_of_the_runs() {
    let (desk, text, _) = compare(0, &["--stores", "raw,error-bounded:0.3", "--seeds", "2", "--no-examine"]);
    assert!(text.contains("With error-bounded:0.3, what convolutions read took"), "{text}");
    let folder = desk.path().join("out");
    let row = &table(&folder)["stores"][1];
    let runs = [1, 2].map(|seed| {
        let summary = folder.join(format!("error-bounded-0.3-{seed}/summary.json"));
        serde_json::from_slice::<Value>(&std::fs::read(summary).unwrap()).unwrap()
    });
    let bytes = |key: &str| runs.each_ref().map(|run| run["bytes"][key].as_u64().unwrap());
    let kept = bytes("kept");
    assert_eq!(row["kept_bytes"].as_u64(), Some((kept[0] + kept[1]) / 2));
    assert_eq!(row["peak_bytes"].as_u64(), bytes("most_allocated").into_iter().max());
    let overflows = runs.each_ref().map(|run| run["coded"]["discarded"]["overflows"].as_u64().unwrap());
    assert_eq!(row["discarded"]["overflows"].as_u64(), Some(overflows[0] + overflows[1]));
    // Images, which are kept in 8 bits as they are, and what the second convolution reads.
    let used = |run: &Value| -> f64 {
        let values = run["coded"]["values"].as_array().unwrap().iter();
        let read = values.filter(|value| value["name"] == "conv1.relu");
        read.map(|value| value["mean_bytes"].as_f64().unwrap()).sum()
    };
    let stored = row["convolutions"]["stored_bytes"].as_f64().unwrap();
    let mean = runs.iter().map(used).sum::<f64>() / 2.0;
    let images = row["convolutions"]["images_stored_bytes"].as_f64().unwrap();
    assert!((stored - images - mean).abs() <= 2.0, "{stored} {mean} {row}");
    assert!(folder.join("ratios-error-bounded-0.3.svg").exists());
}

#[test]
fn a_run_that_diverges_stops_no_other_run() {
    let (desk, text, errors) = compare(1, &["--stores", "raw,f16", "--seed", "7", "--set", "optimizer.lr=1e30"]);
    assert!(text.contains("diverged at step"), "{text}");
    assert!(errors.contains("2 of 2 runs diverged"), "{errors}");
    let folder = desk.path().join("out");
    for row in table(&folder)["stores"].as_array().unwrap() {
        assert!(row["diverged"][0]["step"].as_u64().unwrap() > 1 && row["diverged"][0]["seed"] == 7, "{row}");
        assert!(row["test_accuracy"].is_null() && row["kept_bytes"].as_u64().unwrap() > 0, "{row}");
    }
    assert!(std::fs::read_to_string(folder.join("report.html")).unwrap().contains("diverged at step"));
}

/// Four runs of a second, with checkpoints in them.
const FOUR: [&str; 9] = [
    "compare",
    "digits.toml",
    "--stores",
    "raw,error-bounded",
    "--seeds",
    "2",
    "--set",
    "checkpoint.every_steps=5",
    "--out",
];

fn program(desk: &Desk, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_frugal"));
    command.args(arguments).env("FRUGAL_TILES", "").current_dir(desk.path(""));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn start(desk: &Desk, arguments: &[&str]) -> Child {
    program(desk, arguments).spawn().unwrap()
}

/// Waits until a file is there.
fn wait_for(child: &mut Child, path: &Path) {
    while !path.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before {}", path.display());
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// All that does not depend on the clock is the same.
fn assert_same_comparison(one: &Path, other: &Path) {
    let table = |folder: &Path| {
        let mut table = table(folder);
        for row in table["stores"].as_array_mut().unwrap() {
            // What is kept of sizes that follow the data is what was planned last, which what came before a stop has no part in.
            for key in ["milliseconds_per_step", "overhead", "kept_bytes", "kept_ratio"] {
                row.as_object_mut().unwrap().remove(key).unwrap();
            }
        }
        table
    };
    assert_eq!(table(one), table(other));
    let examined = |folder: &Path| fs::read(folder.join("gradient_error.json")).unwrap();
    assert!(examined(one) == examined(other), "the study differ");
    let files = |folder: &Path| -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != ".lock").collect();
        names.sort();
        names
    };
    assert_eq!(files(one), files(other));
    for run in ["raw-1", "raw-2", "error-bounded-1", "error-bounded-2"] {
        let weights = |folder: &Path| fs::read(folder.join(run).join("weights.safetensors")).unwrap();
        assert!(weights(one) == weights(other), "{run}");
    }
    let began_as = |folder: &Path| json(&folder.join("comparison.json"))["environment"]["command"][1].clone();
    assert_eq!((began_as(one), began_as(other)), ("compare".into(), "compare".into()));
}

#[test]
fn a_comparison_that_is_killed_goes_on_to_the_same_table() {
    let desk = Desk::new();
    desk.ok(&[&FOUR[..], &["whole"]].concat());
    let run = |run: &str, file: &str| desk.path("killed").join(run).join(file);
    let mut child = start(&desk, &[&FOUR[..], &["killed"]].concat());
    wait_for(&mut child, &run("error-bounded-1", "checkpoints/step-00000010.safetensors"));
    child.kill().unwrap();
    child.wait().unwrap();
    let first = fs::metadata(run("raw-1", "summary.json")).unwrap().modified().unwrap();
    // Once more, in another run.
    let mut child = start(&desk, &["resume", "killed"]);
    wait_for(&mut child, &run("raw-2", "checkpoints/step-00000005.safetensors"));
    child.kill().unwrap();
    child.wait().unwrap();
    let output = program(&desk, &["resume", "killed"]).output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("[1/4] raw, seed 1  was finished before"), "{said}");
    assert!(said.contains("[3/4] raw, seed 2  goes on after step"), "{said}");
    assert_eq!(fs::metadata(run("raw-1", "summary.json")).unwrap().modified().unwrap(), first);
    assert!(String::from_utf8_lossy(&output.stdout).contains("error-bounded took"), "{output:?}");
    assert_same_comparison(&desk.path("whole"), &desk.path("killed"));

    let text = desk.fails(2, &["resume", "killed"]);
    assert!(text.contains("the comparison in killed is finished") && text.contains("report.html"), "{text}");
    let text = desk.fails(2, &["eval", "killed"]);
    assert!(text.contains("the folder of a comparison, not that of a run"), "{text}");
    // It can be extended.
    let text = desk.fails(2, &["resume", "killed", "--set", "optimizer.lr=0.1"]);
    assert!(text.contains("made with other settings: optimizer"), "{text}");
    desk.ok(&["resume", "killed", "--set", "compare.seeds=3", "--set", "compare.examine=false"]);
    assert_eq!(table(&desk.path("killed"))["seeds"], serde_json::json!([1, 2, 3]));
    assert!(run("raw-3", "summary.json").exists());
}

#[test]
#[cfg(unix)]
fn ctrl_c_ends_a_comparison_with_a_checkpoint_and_says_how_to_go_on() {
    let desk = Desk::new();
    desk.ok(&[&FOUR[..], &["whole"]].concat());
    for name in ["-INT", "-TERM", "-HUP"] {
        let folder = format!("stopped{name}");
        let mut child = start(&desk, &[&FOUR[..], &[&folder]].concat());
        wait_for(&mut child, &desk.path(&folder).join("error-bounded-1/checkpoints/step-00000005.safetensors"));
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(130), "{said}");
        assert!(said.contains(&format!("go on with `frugal resume {folder}`")), "{said}");
        assert!(
            said.contains("stopped at [2/4] error-bounded, seed 1") || said.contains("[3/4] raw, seed 2"),
            "{said}"
        );
        assert!(!desk.path(&folder).join("table.json").exists());
        desk.ok(&["resume", &folder]);
        assert_same_comparison(&desk.path("whole"), &desk.path(&folder));
    }
}

/// As older versions left it: without a mark, and with a run that was trained into it.
#[test]
fn a_comparison_of_an_older_version_is_not_taken_for_a_run() {
    let desk = Desk::new();
    let mut child = start(&desk, &[&FOUR[..], &["old"]].concat());
    wait_for(&mut child, &desk.path("old/error-bounded-1/checkpoints/step-00000005.safetensors"));
    child.kill().unwrap();
    child.wait().unwrap();
    fs::remove_file(desk.path("old/comparison.json")).unwrap();
    for file in ["data.json", "metrics.jsonl", "environment.json"] {
        fs::copy(desk.path("old/raw-1").join(file), desk.path("old").join(file)).unwrap();
    }
    desk.ok(&["resume", "old"]);
    assert!(!desk.path("old/summary.json").exists() && desk.path("old/raw-2/summary.json").exists());
    assert_eq!(table(&desk.path("old"))["stores"].as_array().unwrap().len(), 2);
}

#[test]
fn a_run_that_diverged_is_not_run_again() {
    let desk = Desk::new();
    let diverge = ["--stores", "raw,f16", "--no-examine", "--set", "optimizer.lr=1e30"];
    desk.fails(1, &[&["compare", "digits.toml", "--out", "out"][..], &diverge].concat());
    let diverged = json(&desk.path("out/raw-1/diverged.json"));
    let before = table(&desk.path("out"));
    assert_eq!(before["stores"][0]["diverged"][0], diverged);
    // As if it had been stopped before its table.
    fs::remove_file(desk.path("out/table.json")).unwrap();
    let mut mark = json(&desk.path("out/comparison.json"));
    mark["finished"] = false.into();
    fs::write(desk.path("out/comparison.json"), mark.to_string()).unwrap();
    let metrics = fs::read(desk.path("out/raw-1/metrics.jsonl")).unwrap();
    let said = desk.fails(1, &["resume", "out"]);
    assert!(said.contains("diverged at step") && said.contains("2 of 2 runs diverged"), "{said}");
    assert_eq!(table(&desk.path("out")), before);
    assert!(metrics == fs::read(desk.path("out/raw-1/metrics.jsonl")).unwrap());
}

/// A finished comparison of one run whose table has still to be written.
fn almost(desk: &Desk, sets: &[&str]) -> PathBuf {
    let all = [&["compare", "digits.toml", "--stores", "raw", "--out", "out"][..], sets].concat();
    desk.ok(&all);
    let folder = desk.path("out");
    let mut mark = json(&folder.join("comparison.json"));
    mark["finished"] = false.into();
    fs::write(folder.join("comparison.json"), mark.to_string()).unwrap();
    fs::remove_file(folder.join("table.md")).unwrap();
    // Nothing can be written there.
    fs::create_dir_all(folder.join("table.md/full")).unwrap();
    folder
}

#[test]
fn a_table_that_its_folder_does_not_take_is_printed_and_written_elsewhere() {
    let desk = Desk::new();
    let folder = almost(&desk, &["--no-examine"]);
    let output = program(&desk, &["resume", "out"]).output().unwrap();
    let (said, printed) = (text(&output), String::from_utf8_lossy(&output.stdout).into_owned());
    assert!(output.status.success(), "{said}");
    assert!(said.contains("cannot write") && said.contains("the results are in frugal-comparison instead"), "{said}");
    assert!(printed.contains("test accuracy") && printed.contains("frugal-comparison/report.html"), "{printed}");
    for file in ["table.md", "table.csv", "table.json", "report.html", "accuracy.png"] {
        assert!(desk.path("frugal-comparison").join(file).is_file(), "{file}");
    }
    // The current folder takes nothing either: then the folder for temporary files does.
    let mark = fs::read_to_string(folder.join("comparison.json"))
        .unwrap()
        .replace("\"finished\": true", "\"finished\": false");
    fs::write(folder.join("comparison.json"), &mark).unwrap();
    let elsewhere = |temporary: &Path| {
        let mut command = program(&desk, &["resume", folder.to_str().unwrap()]);
        command.current_dir("/proc").env("TMPDIR", temporary).output().unwrap()
    };
    let output = elsewhere(&desk.path("temporary"));
    assert!(output.status.success(), "{}", text(&output));
    assert!(desk.path("temporary/frugal-comparison/table.md").is_file());
    // No place at all: the table is printed all the same, and it is said that nothing else is left of it.
    fs::write(folder.join("comparison.json"), &mark).unwrap();
    let output = elsewhere(Path::new("/proc/none"));
    let (said, printed) = (text(&output), String::from_utf8_lossy(&output.stdout).into_owned());
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(printed.contains("test accuracy") && said.contains("no place takes the results"), "{said}{printed}");
}

/// In a terminal of its own, as `script` makes one.
#[test]
#[cfg(target_os = "linux")]
fn results_wait_in_memory_until_there_is_space() {
    use std::io::Read;
    let desk = Desk::new();
    let folder = almost(&desk, &["--no-examine"]);
    let call = format!("stty cols 120; cd /proc; exec {} resume {}", env!("CARGO_BIN_EXE_frugal"), folder.display());
    let mut command = Command::new("script");
    command.args(["-qefc", &call, "/dev/null"]).env("TMPDIR", "/proc/none").env("FRUGAL_TILES", "");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut said, mut part) = (String::new(), [0; 4096]);
    let mut stdout = child.stdout.take().unwrap();
    while !said.contains("they wait in memory") {
        let read = stdout.read(&mut part).unwrap();
        assert!(read > 0, "{said}");
        said += &String::from_utf8_lossy(&part[..read]);
    }
    assert!(said.contains("test accuracy"), "{said}");
    fs::remove_dir_all(folder.join("table.md")).unwrap();
    stdout.read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    assert!(said.contains("the results are in") && folder.join("table.md").is_file(), "{said}");
}

/// What gradients say is printed beneath, and only that.
#[test]
fn the_table_is_there_before_gradients_are_examined() {
    let (_desk, text, errors) = compare(0, &["--stores", "raw,uniform:2"]);
    let (table, examined) = text.split_once("report.html").unwrap();
    assert!(table.contains("uniform took") && !table.contains("gradient error"), "{text}");
    assert!(examined.contains("gradient error") && !examined.contains("peak"), "{text}");
    assert!(errors.contains("measuring the error that each store adds to gradients"), "{errors}");
}
