//! Tables of tiles: measured, taken by runs, copied into their folders, refused. Needs an adapter; the software one will do.

mod common;

use common::{Desk, json};
use frugal_tensor::Gpu;
use frugal_tensor::ir::tiles::Work;
use frugal_trainer::artifacts::tiles::{Entry, TilesFile, VARIABLE};
use frugal_trainer::config::Config;
use frugal_trainer::state::checkpoint;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Output;

/// Writes a table that names for each product and convolution of the net the last of its candidates, and returns how many.
fn unusual(desk: &Desk, name: &str) -> usize {
    let gpu = Gpu::open(None).unwrap();
    let (config, _) = Config::load(&desk.path("digits.toml"), &[]).unwrap();
    let plans = frugal_trainer::planning::plans(&config, &config.data.open().unwrap(), &gpu).unwrap();
    let mut file = TilesFile::new(gpu.adapter());
    for (_, tunable) in plans.train.tunables() {
        let Work { operator, direction, shape } = tunable.work;
        let tile = *tunable.candidates.last().unwrap();
        file.choices.push(Entry { operator, direction, shape, tile, usual_ms: Some(2.5), tuned_ms: None });
    }
    fs::write(desk.path(name), file.to_toml()).unwrap();
    let (read, table) = TilesFile::read(&desk.path(name)).unwrap();
    assert_eq!(read, file);
    assert_eq!(table.choices().len(), file.choices.len());
    file.choices.len()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const CHECKPOINTS: [&str; 4] = ["--set", "checkpoint.every_steps=10", "--set", "checkpoint.keep_last=100"];

/// Trains in `out` with a table, and returns what it said.
fn train(desk: &Desk, tiles: &str, out: &str, more: &[&str]) -> String {
    let arguments = [&["train", "digits.toml", "--out", out], &CHECKPOINTS[..], more].concat();
    let output = desk.with(&[(VARIABLE, tiles)], &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    stderr(&output)
}

fn weights(desk: &Desk, run: &str) -> Vec<u8> {
    fs::read(desk.path(run).join("weights.safetensors")).unwrap()
}

fn losses(desk: &Desk, run: &str) -> Vec<f64> {
    let text = fs::read_to_string(desk.path(run).join("metrics.jsonl")).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| record["kind"] == "step").map(|record| record["loss"].as_f64().unwrap()).collect()
}

/// A run as it was after its tenth step.
fn cut(desk: &Desk, from: &str, to: &str) {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let target = to.join(path.file_name().unwrap());
            if path.is_dir() {
                copy(&path, &target);
            } else {
                fs::copy(&path, target).unwrap();
            }
        }
    }
    let to = desk.path(to);
    copy(&desk.path(from), &to);
    fs::remove_file(to.join("summary.json")).unwrap();
    for entry in fs::read_dir(to.join("checkpoints")).unwrap() {
        let path = entry.unwrap().path();
        if checkpoint::read(&path).map_or(true, |checkpoint| checkpoint.about.state.step > 10) {
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn a_run_takes_a_table_and_keeps_it() {
    let desk = Desk::new();
    let choices = unusual(&desk, "tiles.toml");
    assert!(choices > 5);

    let said = train(&desk, "", "usual", &[]);
    assert!(!said.contains("tiles:"), "{said}");
    assert!(!desk.path("usual").join("tiles.toml").exists());
    assert!(json(&desk.path("usual").join("environment.json"))["tiles"].is_null());

    let said = train(&desk, "tiles.toml", "tuned", &[]);
    assert!(said.contains(&format!("tiles: {choices} choices of tiles.toml")), "{said}");
    assert_eq!(json(&desk.path("tuned").join("environment.json"))["tiles"], choices);
    let (kept, _) = TilesFile::read(&desk.path("tuned").join("tiles.toml")).unwrap();
    assert_eq!(kept.choices.len(), choices);
    let bytes = &json(&desk.path("tuned").join("summary.json"))["bytes"];
    assert_eq!(bytes["allocated"], bytes["peak"]);
    let plan: Value =
        serde_json::from_str(&desk.ok(&["plan", "digits.toml", "--tiles", "tiles.toml", "--json"])).unwrap();
    assert_eq!(plan["bytes"]["peak"], bytes["peak"]);

    // The same training in another order of additions.
    let (usual, tuned) = (losses(&desk, "usual"), losses(&desk, "tuned"));
    assert_eq!(usual.len(), tuned.len());
    for (usual, tuned) in usual.iter().zip(&tuned).take(10) {
        assert!((usual - tuned).abs() < 1e-4 * usual, "{usual}, {tuned}");
    }
    assert!(weights(&desk, "usual") != weights(&desk, "tuned"), "the table changed nothing");

    // Each goes on with what it began with, whatever there is now.
    for (run, now) in [("tuned", ""), ("usual", "tiles.toml")] {
        cut(&desk, run, "cut");
        let output = desk.with(&[(VARIABLE, now)], &["resume", "cut"]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(stderr(&output).contains("that the run began with"), run == "tuned");
        assert!(weights(&desk, run) == weights(&desk, "cut"), "{run}: the weights differ");
        fs::remove_dir_all(desk.path("cut")).unwrap();
    }

    cut(&desk, "tuned", "cut");
    fs::remove_file(desk.path("cut").join("tiles.toml")).unwrap();
    let output = desk.with(&[(VARIABLE, "")], &["resume", "cut"]);
    assert!(output.status.success() && stderr(&output).contains("tiles.toml is gone"), "{}", stderr(&output));

    for (number, ignored) in [["--no-tuned"].as_slice(), &["--set", "train.tuned=false"]].into_iter().enumerate() {
        let out = format!("ignored-{number}");
        let said = train(&desk, "tiles.toml", &out, ignored);
        assert!(!said.contains("tiles:"), "{said}");
        assert!(weights(&desk, "usual") == weights(&desk, &out), "the table was not ignored");
    }
}

#[test]
fn tuning_writes_a_table_that_is_taken() {
    let desk = Desk::new();
    let cache = desk.path("cache");
    // The variable decides where; `dirs` looks for the cache elsewhere on each system.
    let tiles = cache.join("tiles.toml");
    let variables = [(VARIABLE, tiles.to_str().unwrap())];
    let output = desk.with(&variables, &["tune", "digits.toml", "--seconds", "1"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("usual ms") && text.contains("runs take it by themselves"), "{text}");
    let (file, _) = TilesFile::read(&tiles).unwrap();
    let output = desk.with(&variables, &["bench", "step", "digits.toml", "--steps", "1", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("tiles: "));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["tiles"], file.choices.len());
    let output = desk.with(&variables, &["bench", "step", "digits.toml", "--steps", "1", "--json", "--no-tuned"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["tiles"].is_null() && stderr(&output).is_empty());
    // What is there of other nets stays.
    let mut more = file.clone();
    unusual(&desk, "other.toml");
    let mut entry = TilesFile::read(&desk.path("other.toml")).unwrap().0.choices.pop().unwrap();
    entry.shape = "of another net".into();
    more.choices.push(entry.clone());
    fs::write(&tiles, more.to_toml()).unwrap();
    let output = desk.with(&variables, &["tune", "digits.toml", "--seconds", "1"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(TilesFile::read(&tiles).unwrap().0.choices.contains(&entry));
}

#[test]
fn wrong_tables_are_refused() {
    let desk = Desk::new();
    unusual(&desk, "tiles.toml");
    let good = fs::read_to_string(desk.path("tiles.toml")).unwrap();
    let refused = |text: &str, why: &[&str]| {
        fs::write(desk.path("wrong.toml"), text).unwrap();
        let output = desk.with(&[(VARIABLE, "wrong.toml")], &["train", "digits.toml", "--out", "run"]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(why.iter().all(|why| said.contains(why)) && said.contains("help:"), "{said}");
        assert!(!desk.path("run").exists());
    };
    refused("tiles", &["wrong.toml is no table of tiles", "--no-tuned"]);
    refused(&good[..good.len() - 12], &["is no table of tiles"]);
    refused(&good.replace("format = 1", "format = 2"), &["it has format 2"]);
    refused(&good.replace("format = 1", "format = 1\nspeed = 3"), &["unknown field `speed`"]);
    refused(&good.replace("kernels = \"", "kernels = \"x"), &["`kernels` is gpu or cpu"]);
    let digit = |text: &str| text.split_once(" = ").is_some_and(|(_, n)| n.parse::<u32>().is_ok());
    let (head, choices) = good.split_once("[[choice]]").unwrap();
    let last = choices.lines().rfind(|line| digit(line)).unwrap();
    let impossible = choices.replace(last, &format!("{} = 77777", last.split_once(" = ").unwrap().0));
    refused(&format!("{head}[[choice]]{impossible}"), &["no kernel can work with the tile of"]);
    let foreign = good.replacen("driver_info = \"", "driver_info = \"not ", 1);
    refused(&foreign, &["was measured on", "frugal tune"]);
    let missing = desk.with(&[(VARIABLE, "nowhere.toml")], &["train", "digits.toml", "--out", "run"]);
    assert!(!missing.status.success() && stderr(&missing).contains("nowhere.toml"), "{}", stderr(&missing));

    // Nobody asked for this one: the driver is a new one, and the run says that the table is of no use.
    if cfg!(target_os = "linux") {
        let home = desk.path("home");
        let cache = [("XDG_CACHE_HOME", home.to_str().unwrap())];
        let output = desk.with(&cache, &["tune", "digits.toml", "--seconds", "1"]);
        assert!(output.status.success(), "{}", stderr(&output));
        let entry = fs::read_dir(home.join("frugal/tiles")).unwrap().next().unwrap().unwrap();
        let text = fs::read_to_string(entry.path()).unwrap();
        fs::write(entry.path(), text.replacen("driver_info = \"", "driver_info = \"not ", 1)).unwrap();
        let output = desk.with(&cache, &["train", "digits.toml", "--out", "run"]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(stderr(&output).contains("tiles: not those of"), "{}", stderr(&output));
        assert!(!desk.path("run").join("tiles.toml").exists());
    }
}
