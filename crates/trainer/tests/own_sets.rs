//! Sets of the user's own, through the program: no part of them is left out without a word. Needs an adapter; the software one
//! will do.

mod common;

use common::Desk;
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
    for folder in ["photos", "others"] {
        photos(&desk.path(folder), &[("cat", 10), ("dog", 10)]);
    }
    config(&desk, "./photos");
    desk.ok(&["train", "photos.toml", "--out", "run"]);
    assert_eq!(evaluated(&desk, &[]), 4);
    assert_eq!(evaluated(&desk, &["--data", "./others"]), 20);
    assert_eq!(evaluated(&desk, &["--data", "./others/../photos"]), 4);
    let output = desk.frugal(&["eval", "run", "--data", "./photos"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("the net was trained on this set"), "{text}");
}
