//! Rows of a table, through the program: classes and numbers, resumed runs, answers, hostile tables. Needs an adapter; the software one
//! will do.

mod common;

use common::{Desk, json};
use serde_json::Value;
use std::fs;

/// A config for the table `rows.csv`, whose target is `y`.
fn config(data: &str, rest: &str) -> String {
    format!(
        "[data]\nset = \"./rows.csv\"\ntarget = \"y\"\nbatch = 32\n{data}\n[model]\nnet = \"mlp\"\nhidden = [16]\nembedding = 4\n\
         [optimizer]\nkind = \"adam\"\nlr = 0.02\n[train]\nepochs = 12\n{rest}"
    )
}

/// 400 rows: y follows from a number and a category, and a third column says nothing.
fn table(y: impl Fn(f64, usize) -> String) -> String {
    let mut text = String::from("x,colour,noise,y\n");
    for row in 0..400usize {
        let x = (row * 37 % 101) as f64 / 50.0 - 1.0;
        let colour = row * 7 % 4;
        let names = ["red", "green", "blue", ""];
        text += &format!("{x},{},{},{}\n", names[colour], row * 13 % 17, y(x, colour));
    }
    text
}

fn desk(text: &str, data: &str, rest: &str) -> Desk {
    let desk = Desk::new();
    fs::write(desk.path("rows.csv"), text).unwrap();
    fs::write(desk.path("rows.toml"), config(data, rest)).unwrap();
    desk
}

fn classes(x: f64, colour: usize) -> String {
    let late = (x > 0.0) != (colour == 2);
    if late { "late".to_owned() } else { "on time".to_owned() }
}

#[test]
fn classes_of_rows_are_learned_and_judged_by_accuracy_and_auc() {
    let desk = desk(&table(classes), "validation = 0.2", "");
    let text = desk.ok(&["train", "rows.toml", "--out", "run"]);
    assert!(text.contains("test accuracy") && text.contains("AUC"), "{text}");
    let summary = json(&desk.path("run/summary.json"));
    let (accuracy, auc) = (&summary["evaluation"]["accuracy"], summary["evaluation"]["auc"].as_f64().unwrap());
    assert!(accuracy.as_f64().unwrap() > 0.9 && auc > 0.97, "{summary}");
    // What the loop counts on the device and what is worked out in the end are the same.
    assert_eq!(summary["test_accuracy"], *accuracy);
    let lines = fs::read_to_string(desk.path("run/metrics.jsonl")).unwrap();
    let epochs: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let epochs: Vec<&Value> = epochs.iter().filter(|record| record["kind"] == "epoch").collect();
    assert_eq!(epochs.len(), 12);
    assert!(epochs.iter().all(|epoch| epoch["validation_auc"].is_f64()));
    assert!((epochs[11]["test_auc"].as_f64().unwrap() - auc).abs() < 1e-6, "{} and {auc}", epochs[11]);
    // The same rows as another table have the same answers.
    let evaluation: Value = serde_json::from_str(&desk.ok(&["eval", "run", "--json"])).unwrap();
    assert_eq!(evaluation["auc"], summary["evaluation"]["auc"]);
    fs::write(desk.path("new.csv"), "noise,colour,x\n3,red,0.9\n,violet,-0.9\n").unwrap();
    let predicted: Value = serde_json::from_str(&desk.ok(&["predict", "run", "new.csv", "--json"])).unwrap();
    assert_eq!(predicted[0]["classes"][0]["class"], "late");
    assert_eq!(predicted[1]["image"], "new.csv, row 2");
    let text = desk.fails(1, &["eval", "run", "--data", "new.csv"]);
    assert!(text.contains("new.csv: there is no column `y`; there are: noise, colour, x"), "{text}");
    assert!(desk.ok(&["data", "check", "rows.toml"]).contains("400 of 400 samples are good"));
}

#[test]
fn numbers_of_rows_are_learned_and_judged_in_their_unit() {
    let value = |x: f64, colour: usize| format!("{}", 1000.0 + 300.0 * x + 100.0 * colour as f64);
    let desk = desk(&table(value), "task = \"regression\"", "");
    let text = desk.ok(&["train", "rows.toml", "--out", "run"]);
    assert!(text.contains("R²") && text.contains("in the unit of `y`"), "{text}");
    let evaluation = &json(&desk.path("run/summary.json"))["evaluation"];
    assert!(evaluation["r_squared"].as_f64().unwrap() > 0.95, "{evaluation}");
    assert!(evaluation["mean_absolute_error"].as_f64().unwrap() < 50.0, "{evaluation}");
    fs::write(desk.path("new.csv"), "x,colour,noise\n0,green,1\n").unwrap();
    let predicted: Value = serde_json::from_str(&desk.ok(&["predict", "run", "new.csv", "--json"])).unwrap();
    assert!((predicted[0]["value"].as_f64().unwrap() - 1100.0).abs() < 100.0, "{predicted}");
    assert!(desk.ok(&["eval", "run"]).contains("mean squared error"));
}

#[test]
fn a_run_on_rows_is_resumed_bit_by_bit() {
    let desk = desk(&table(classes), "", "[checkpoint]\nevery_steps = 25\n");
    desk.ok(&["train", "rows.toml", "--out", "whole"]);
    desk.ok(&["train", "rows.toml", "--out", "half", "--epochs", "6"]);
    desk.ok(&["resume", "half", "--epochs", "12"]);
    assert!(tensors(&desk, "whole") == tensors(&desk, "half"));
    // A table that has changed is another one.
    fs::write(desk.path("rows.csv"), table(|x, _| classes(-x, 0))).unwrap();
    let text = desk.fails(2, &["resume", "half", "--epochs", "13"]);
    assert!(text.contains("the data"), "{text}");
}

/// The rows are more than may be in memory: they are read from a file when their batch is due, and nothing else changes.
#[test]
fn a_table_that_is_larger_than_its_memory_trains_the_same_net() {
    let desk = desk(&table(classes), "", "");
    desk.ok(&["train", "rows.toml", "--out", "held"]);
    // A row takes 16 bytes, and there are 400.
    desk.ok(&["train", "rows.toml", "--out", "streamed", "--set", "data.memory=\"1KiB\"", "--set", "data.workers=3"]);
    assert!(tensors(&desk, "held") == tensors(&desk, "streamed"));
    let text = desk.ok(&["eval", "streamed"]);
    assert!(text.contains("AUC"), "{text}");
}

/// The values of a run's weights.
fn tensors(desk: &Desk, run: &str) -> Vec<u8> {
    let bytes = fs::read(desk.path(run).join("weights.safetensors")).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + length..].to_vec()
}

/// A list of layers takes the embedded categories and the numbers; nets for images do not take rows.
#[test]
fn layers_take_rows_and_nets_for_images_do_not() {
    let desk = desk(&table(classes), "", "");
    let layers = config("", "").replace(
        "net = \"mlp\"\nhidden = [16]",
        "layers = [{ linear = 16 }, \"batch_norm\", \"relu\", { linear = \"classes\" }]",
    );
    fs::write(desk.path("layers.toml"), &layers).unwrap();
    desk.ok(&["train", "layers.toml", "--out", "layers", "--set", "train.precision=f32"]);
    assert!(json(&desk.path("layers/summary.json"))["test_accuracy"].as_f64().unwrap() > 0.8);
    let text = desk.ok(&["plan", "rows.toml", "--store", "uniform:4"]);
    assert!(text.contains("mlp on rows of 1 categories and 2 numbers, 2 classes"), "{text}");
    let lenet = config("", "").replace("net = \"mlp\"\nhidden = [16]", "net = \"lenet\"");
    fs::write(desk.path("lenet.toml"), lenet).unwrap();
    let text = desk.fails(1, &["train", "lenet.toml"]);
    assert!(text.contains("`lenet` takes images, and samples are rows of a table; those take `mlp`"), "{text}");
}

#[test]
fn settings_that_do_not_go_together_are_pointed_at() {
    let desk = desk(&table(classes), "", "");
    let refused = |config: &str| {
        fs::write(desk.path("bad.toml"), config).unwrap();
        desk.fails(2, &["train", "bad.toml"])
    };
    let text = refused(&config("", "").replace("target = \"y\"\n", ""));
    assert!(text.contains("nothing says which of its columns is predicted") && text.contains("target ="), "{text}");
    let text = refused(&config("augment = { flip = true }", ""));
    assert!(text.contains("`data.augment` is for images, and"), "{text}");
    let text = refused(&common::DIGITS.replace("batch = 50", "batch = 50\nrare = 3"));
    assert!(text.contains("`data.rare` is for tables"), "{text}");
    let text = refused(&common::DIGITS.replace("net = \"lenet\"", "net = \"lenet\"\nhidden = [3]"));
    assert!(text.contains("`model.hidden` is for the net `mlp`"), "{text}");
    fs::write(desk.path("rows.csv"), "x,y\n1,a\n2\n").unwrap();
    let text = desk.fails(1, &["train", "rows.toml"]);
    assert!(text.contains("rows.csv, line 3: it has 1 cells, and the header 2"), "{text}");
    let text = desk.fails(1, &["data", "check", "rows.csv"]);
    assert!(text.contains("a config says which of its columns is predicted"), "{text}");
}
