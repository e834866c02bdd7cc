//! Runs whose data, settings or logs are no longer where they were, or what they were, before they go on.

use super::common::{Desk, json};
use super::{EVENTS, assert_same, cut, event_lengths, newest, records, whole};
use frugal_trainer::state::checkpoint;
use image::GrayImage;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// Pixels of a picture of 8×8 that looks like its class, and a little like its number.
fn pixels(class: u8, number: u8) -> Vec<u8> {
    (0..64u8).map(|at| if at % 3 == class { 200 } else { 10 } + number % 50).collect()
}

/// A folder of pictures: 20 of each class to train on, 4 to be evaluated.
fn pictures(folder: &Path, classes: &[&str]) {
    for (class, name) in classes.iter().enumerate() {
        for (part, numbers) in [("train", 0..20), ("test", 20..24)] {
            let folder = folder.join(part).join(name);
            fs::create_dir_all(&folder).unwrap();
            numbers.for_each(|number| picture(&folder.join(format!("{number}.png")), pixels(class as u8, number)));
        }
    }
}

fn picture(path: &Path, pixels: Vec<u8>) {
    GrayImage::from_raw(8, 8, pixels).unwrap().save(path).unwrap();
}

/// A NumPy archive with so many pictures to train on, of three classes.
fn archive(path: &Path, count: u8, change: impl Fn(&mut [u8])) {
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    let mut array = |name: &str, shape: &str, bytes: &[u8]| {
        let mut header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape}), }}");
        header += &" ".repeat(64 - (header.len() + 11) % 64);
        zip.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
        let length = (header.len() as u16 + 1).to_le_bytes();
        zip.write_all(&[b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), b"\n", bytes].concat()).unwrap();
    };
    for (part, numbers) in [("train", 0..count), ("test", 100..112)] {
        let mut images: Vec<u8> = numbers.clone().flat_map(|number| pixels(number % 3, number)).collect();
        if part == "train" {
            change(&mut images);
        }
        let labels: Vec<u8> = numbers.map(|number| number % 3).collect();
        array(&format!("x_{part}"), &format!("{}, 8, 8", labels.len()), &images);
        array(&format!("y_{part}"), &format!("{},", labels.len()), &labels);
    }
    zip.finish().unwrap();
}

/// A run on one's own data, without its last epoch.
fn run_on(desk: &Desk, set: &str) {
    let set = format!("data.set={set}");
    whole(desk, &["--set", &set, "--set", "data.batch=4"]);
    cut(desk, "whole", "run", 14);
}

#[test]
fn the_same_archive_elsewhere_goes_on_and_another_one_is_refused() {
    let desk = Desk::new();
    archive(&desk.path("set.npz"), 60, |_| {});
    run_on(&desk, "./set.npz");
    assert!(json(&desk.path("whole/data.json"))["content"]["train"]["samples"] == 60);
    fs::create_dir(desk.path("elsewhere")).unwrap();
    fs::rename(desk.path("set.npz"), desk.path("elsewhere/set.npz")).unwrap();
    assert!(desk.fails(1, &["resume", "run"]).contains("set.npz"));

    // Refused, and nothing changed.
    let before = fs::read(desk.path("run/config.resolved.toml")).unwrap();
    let refused = |count: u8, change: &dyn Fn(&mut [u8]), difference: &str| {
        archive(&desk.path("other.npz"), count, change);
        let text = desk.fails(2, &["resume", "run", "--set", "data.set=./other.npz"]);
        assert!(text.contains("the run learned from other data") && text.contains(difference), "{text}");
        assert!(text.contains("--set data.set=/its/place"), "{text}");
    };
    refused(73, &|_| {}, "it had 60 training samples and has 73");
    refused(60, &|images| images[64 * 30..64 * 31].fill(7), "its 60 training samples have other content");
    assert!(before == fs::read(desk.path("run/config.resolved.toml")).unwrap());

    // Relative to where the program is called.
    desk.ok(&["resume", "run", "--set", "data.set=./elsewhere/set.npz"]);
    assert_same(&desk.path("whole"), &desk.path("run"));
    let settings = fs::read_to_string(desk.path("run/config.resolved.toml")).unwrap();
    assert!(settings.contains(&desk.path("elsewhere/set.npz").display().to_string()), "{settings}");
}

#[test]
fn the_same_folder_elsewhere_goes_on_and_another_one_is_refused() {
    let desk = Desk::new();
    pictures(&desk.path("set"), &["ant", "bee", "cat"]);
    run_on(&desk, "./set");
    fs::create_dir(desk.path("elsewhere")).unwrap();
    fs::rename(desk.path("set"), desk.path("elsewhere/set")).unwrap();
    let refused = |difference: &str| {
        let text = desk.fails(2, &["resume", "run", "--set", "data.set=./other"]);
        assert!(text.contains("the run learned from other data") && text.contains(difference), "{text}");
        fs::remove_dir_all(desk.path("other")).unwrap();
    };
    pictures(&desk.path("other"), &["ant", "bee", "dog"]);
    refused(r#"its classes were ["ant", "bee", "cat"] and are ["ant", "bee", "dog"]"#);
    pictures(&desk.path("other"), &["ant", "bee", "cat"]);
    (0..13).for_each(|n| picture(&desk.path(&format!("other/train/bee/more-{n}.png")), pixels(1, n)));
    refused("it had 60 training samples and has 73");
    pictures(&desk.path("other"), &["ant", "bee", "cat"]);
    // Another picture, whose file has as many bytes.
    let (one, other) = (desk.path("other/train/bee/3.png"), desk.path("other/train/bee/4.png"));
    let replaced = fs::read(&other).unwrap();
    assert_eq!(replaced.len(), fs::read(&one).unwrap().len());
    fs::write(&one, replaced).unwrap();
    refused("its 60 training samples have other content");
    desk.ok(&["resume", "run", "--set", "data.set=./elsewhere/set"]);
    assert_same(&desk.path("whole"), &desk.path("run"));
}

#[test]
fn a_checkpoint_that_does_not_know_its_data_goes_on_with_a_word() {
    let desk = Desk::new();
    whole(&desk, &[]);
    let run = cut(&desk, "whole", "run", 14);
    for path in super::checkpoints(&run) {
        let mut checkpoint = checkpoint::read(&path).unwrap();
        checkpoint.about.data = None;
        fs::write(&path, checkpoint::encode(&checkpoint).unwrap()).unwrap();
    }
    let output = desk.frugal(&["resume", "run"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("whether digits is still the same cannot be told"), "{text}");
    assert_same(&desk.path("whole"), &run);
}

#[test]
fn settings_change_on_the_command_line_and_are_kept_when_the_run_goes_on() {
    let desk = Desk::new();
    whole(&desk, &[]);
    let run = cut(&desk, "whole", "run", 14);
    let settings = || fs::read_to_string(run.join("config.resolved.toml")).unwrap();
    let before = settings();
    let text = desk.fails(2, &["resume", "run", "--epochs", "1", "--set", "optimizer.lr=0.1", "--seed", "7"]);
    assert!(text.contains("made with other settings: seed, optimizer"), "{text}");
    assert!(desk.fails(2, &["resume", "run", "--set", "train.epoch=1"]).contains("epoch"));
    assert_eq!(settings(), before);
    desk.ok(&["resume", "run", "--epochs", "1", "--set", "checkpoint.keep_last=1"]);
    assert_eq!(settings(), before.replace("epochs = 2", "epochs = 1").replace("keep_last = 100", "keep_last = 1"));
    assert_eq!(json(&run.join("summary.json"))["steps"], 29);
}

#[test]
fn logs_that_lost_their_ends_are_repaired_and_it_is_said() {
    let desk = Desk::new();
    whole(&desk, &[]);
    let run = cut(&desk, "whole", "run", 14);
    for name in ["metrics.jsonl", "metrics.csv", EVENTS] {
        let length = newest(&run).about.logs[name] - 100;
        File::options().write(true).open(run.join(name)).unwrap().set_len(length).unwrap();
    }
    let output = desk.frugal(&["resume", "run"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    for name in ["metrics.jsonl", "metrics.csv", EVENTS] {
        assert!(text.contains(&format!("warning: {name} lacks ")), "{text}");
    }
    // Each record is whole; some before the checkpoint are gone, those after it are there.
    let steps = |run: &Path| -> Vec<u64> {
        records(run).iter().filter(|r| r["kind"] == "step").map(|r| r["step"].as_u64().unwrap()).collect()
    };
    let (all, kept) = (steps(&desk.path("whole")), steps(&run));
    let first = all.len() - kept.len();
    assert!(first > 0 && kept.ends_with(&(15..=all.len() as u64).collect::<Vec<_>>()), "{kept:?}");
    assert!(kept.is_sorted_by(|a, b| a < b), "{kept:?}");
    assert!(event_lengths(&run).len() < event_lengths(&desk.path("whole")).len());
    let table = fs::read_to_string(run.join("metrics.csv")).unwrap();
    let columns = |line: &str| line.matches(',').count();
    assert!(table.lines().all(|line| columns(line) == columns(table.lines().next().unwrap())), "{table}");
}

#[test]
fn weights_that_do_not_fit_leave_no_folder() {
    let desk = Desk::new();
    whole(&desk, &[]);
    let weights = format!("model.weights={}", desk.path("whole/weights.safetensors").display());
    let train = ["train", "digits.toml", "--out", "new", "--set", "model.net=resnet8", "--set", &weights];
    assert!(desk.fails(2, &train).contains("do not fit resnet8"));
    assert!(!desk.path("new").exists());
    // Nor does data that is too small for what is to be held out.
    desk.fails(1, &["train", "digits.toml", "--out", "new", "--set", "data.validation=100000"]);
    assert!(!desk.path("new").exists());
}

#[test]
#[cfg(unix)]
fn files_are_for_whom_the_umask_allows() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    for (umask, file, folder) in [("077", 0o600, 0o700), ("027", 0o640, 0o750), ("002", 0o664, 0o775)] {
        let call = format!("umask {umask}; exec {} train digits.toml --out {umask}", env!("CARGO_BIN_EXE_frugal"));
        let mut command = std::process::Command::new("sh");
        let output = command.args(["-c", &call]).current_dir(desk.path("")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let run = desk.path(umask);
        for folder_of in [run.clone(), run.join("checkpoints")] {
            assert_eq!(mode(&folder_of), folder, "{umask}");
            for entry in fs::read_dir(folder_of).unwrap().map(|entry| entry.unwrap().path()).filter(|p| p.is_file()) {
                assert_eq!(mode(&entry), file, "{umask} {}", entry.display());
            }
        }
    }
}
