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
    let output = Command::new(env!("CARGO_BIN_EXE_frugal")).args(call).current_dir(desk.path()).output().unwrap();
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
