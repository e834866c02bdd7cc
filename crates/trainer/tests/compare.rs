//! `frugal compare` from outside. Needs an adapter; the software one will do.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

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
    assert!(text.contains("frequency-split:8,4 kept") && text.contains("batch in 64 MiB"), "{text}");
    let folder = desk.path().join("out");
    let table = table(&folder);
    let row = |row: usize, key: &str| table["stores"][row][key].as_f64().unwrap();
    assert_eq!(table["stores"].as_array().unwrap().len(), 2);
    for key in ["kept_ratio", "kept_ratio_convolutions", "peak_ratio"] {
        assert_eq!(row(0, key), 1.0, "{key}");
        assert!(row(1, key) > 1.0, "{key}");
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
    // Images and what the second convolution reads.
    let used = |run: &Value| -> f64 {
        let values = run["coded"]["values"].as_array().unwrap().iter();
        let read = values.filter(|value| ["images", "conv1.relu"].contains(&value["name"].as_str().unwrap()));
        read.map(|value| value["mean_bytes"].as_f64().unwrap()).sum()
    };
    let stored = row["convolutions"]["stored_bytes"].as_f64().unwrap();
    let mean = runs.iter().map(used).sum::<f64>() / 2.0;
    assert!((stored - mean).abs() <= 2.0, "{stored} {mean} {row}");
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
