//! Sets of the user's own, through the program: no part of them is left out without a word. Needs an adapter; the software one
//! will do.

mod common;

use common::{Desk, json};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Writes pictures of 8×8 pixels that differ from class to class.
fn photos(root: &Path, classes: &[(&str, u8)]) {
    for (at, (class, count)) in classes.iter().enumerate() {
        fs::create_dir_all(root.join(class)).unwrap();
        for n in 0..*count {
            let picture = image::GrayImage::from_fn(8, 8, |x, y| {
                image::Luma([(x as u8 * 7 + y as u8 * 13 + n).wrapping_mul(3) ^ (at as u8 * 90)])
            });
            picture.save(root.join(class).join(format!("{n}.png"))).unwrap();
        }
    }
}

/// Writes a config of a second's run on this set.
fn config(desk: &Desk, set: &str) {
    let config = common::DIGITS.replace("set = \"digits\"", &format!("set = \"{set}\"\ngrey = true"));
    fs::write(desk.path("photos.toml"), config.replace("batch = 50", "batch = 8")).unwrap();
}

/// How many samples a run's net is evaluated on.
fn evaluated(desk: &Desk, arguments: &[&str]) -> u64 {
    let report: Value = serde_json::from_str(&desk.ok(&[&["eval", "run", "--json"], arguments].concat())).unwrap();
    report["samples"].as_u64().unwrap()
}

#[test]
fn a_flat_folder_is_evaluated_whole_unless_the_net_was_trained_on_it() {
    let desk = Desk::new();
    for folder in ["photos", "copy"] {
        photos(&desk.path(folder), &[("cat", 10), ("dog", 10)]);
    }
    photos(&desk.path("others"), &[("cat", 8), ("dog", 12)]);
    config(&desk, "./photos");
    desk.ok(&["train", "photos.toml", "--out", "run"]);
    assert_eq!(evaluated(&desk, &[]), 4);
    assert_eq!(evaluated(&desk, &["--data", "./others"]), 20);
    assert_eq!(evaluated(&desk, &["--data", "./others/../photos"]), 4);
    assert_eq!(evaluated(&desk, &["--data", "./copy"]), 4);
    let output = desk.frugal(&["eval", "run", "--data", "./photos"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("the net was trained on this set"), "{text}");
}

/// Standard error of a call that succeeds.
fn said(desk: &Desk, arguments: &[&str]) -> String {
    let output = desk.frugal(arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {text}");
    text
}

#[test]
fn what_a_run_reads_of_a_set_is_said_in_a_line_and_written_down() {
    let desk = Desk::new();
    let parts = [("train", 8), ("val", 3), ("Test", 2)];
    for (part, count) in parts {
        photos(&desk.path("photos").join(part), &[("cat", count), ("dog", count)]);
    }
    photos(&desk.path("photos"), &[("train", 2)]);
    photos(&desk.path("photos/train"), &[("bird", 3)]);
    fs::write(desk.path("photos/README.md"), "x").unwrap();
    config(&desk, "./photos");
    let line = "photos: train 19 (bird: 3, cat: 8, dog: 8); validation 6 (bird: 0, cat: 3, dog: 3): val/; \
                test 4 (bird: 0, cat: 2, dog: 2): Test/. \
                Left out: 2 pictures in train/ that are in no class folder; 1 file that is no picture (.md)\n\
                warning: the validation part (val/) has no samples of class bird\n\
                warning: the test part (Test/) has no samples of class bird\n";
    let text = said(&desk, &["train", "photos.toml", "--out", "run"]);
    assert!(text.contains(line), "{text}");
    // The set's validation part is evaluated after each epoch.
    assert!(json(&desk.path("run/summary.json"))["validation_accuracy"].is_f64());
    let facts = json(&desk.path("run/data.json"));
    assert_eq!(facts["parts"]["validation"], serde_json::json!({ "samples": 6, "classes": [0, 3, 3] }));
    assert_eq!(facts["parts"]["account"]["left_out"][1], "1 file that is no picture (.md)");
    let text = said(&desk, &["eval", "run"]);
    assert!(text.contains("photos: evaluating 4 (bird: 0, cat: 2, dog: 2): Test/. Left out: 2 pictures"), "{text}");
    let text =
        said(&desk, &["compare", "photos.toml", "--stores", "raw", "--seeds", "1", "--no-examine", "--out", "all"]);
    assert!(text.contains(line), "{text}");
    fs::remove_file(desk.path("run/summary.json")).unwrap();
    let text = said(&desk, &["resume", "run"]);
    assert!(text.contains(line), "{text}");
    // A share of the training samples is held out as asked, and the set's own part is said.
    let text = said(&desk, &["train", "photos.toml", "--out", "share", "--set", "data.validation=5"]);
    assert!(text.contains("train 14 (bird: 2, cat: 6, dog: 6); validation 5 (bird: 1, cat: 2, dog: 2)"), "{text}");
    assert!(text.contains("val/, as `data.validation` holds out a share of the training samples"), "{text}");
}

/// As it was written before the parts of the set were.
#[test]
fn facts_of_older_runs_are_read() {
    let desk = Desk::new();
    desk.ok(&["train", "digits.toml", "--out", "run"]);
    let mut facts = json(&desk.path("run/data.json"));
    assert!(facts.as_object_mut().unwrap().remove("parts").is_some());
    fs::write(desk.path("run/data.json"), facts.to_string()).unwrap();
    assert_eq!(evaluated(&desk, &[]), 360);
}
