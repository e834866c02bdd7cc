//! Picture files through the program: which way up they are, trouble that is found early, answers one by one. Needs an adapter; the
//! software one will do.

mod common;

use common::{Desk, json};
use flate2::Crc;
use image::{GrayImage, ImageFormat, Luma};
use serde_json::Value;
use std::fs;
use std::io::Cursor;
use std::path::Path;

/// Rows of light and dark, from an edge that differs from picture to picture.
fn rows(number: u32) -> Vec<u8> {
    let light = |y: u32, x: u32| if (y + number) % 4 < 2 { 180 + 9 * (number % 7) + x } else { 10 + 5 * (number % 11) };
    let image = GrayImage::from_fn(8, 8, |x, y| Luma([light(y, x) as u8]));
    let mut png = Cursor::new(Vec::new());
    image.write_to(&mut png, ImageFormat::Png).unwrap();
    png.into_inner()
}

/// The same on its side, by a word in its header alone.
fn turned(png: &[u8]) -> Vec<u8> {
    let exif = b"eXIfMM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let mut crc = Crc::new();
    crc.update(exif);
    let chunk = [&(exif.len() as u32 - 4).to_be_bytes()[..], exif, &crc.sum().to_be_bytes()].concat();
    // Behind the signature and the header.
    [&png[..33], &chunk, &png[33..]].concat()
}

/// A PNG whose header and end are whole, and whose pixels are not.
fn spoilt(png: &[u8]) -> Vec<u8> {
    let at = png.windows(4).position(|kind| kind == b"IDAT").unwrap() + 8;
    let mut png = png.to_vec();
    png[at] ^= 0xff;
    png
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A set of two classes, so many pictures each, which differ only in which way up they are.
fn stripes(desk: &Desk, each: u32) {
    for number in 0..each {
        write(&desk.path(&format!("stripes/across/{number:03}.png")), &rows(number));
        write(&desk.path(&format!("stripes/down/{number:03}.png")), &turned(&rows(number)));
    }
    let own = "set = \"./stripes\"\ngrey = true";
    fs::write(
        desk.path("stripes.toml"),
        common::DIGITS.replace("set = \"digits\"", own).replace("batch = 50", "batch = 16"),
    )
    .unwrap();
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn nets_learn_and_answer_by_pictures_as_people_see_them() {
    let desk = Desk::new();
    stripes(&desk, 60);
    desk.ok(&["train", "stripes.toml", "--out", "seen", "--epochs", "4"]);
    assert_eq!(json(&desk.path("seen/summary.json"))["test_accuracy"], 1.0);
    assert_eq!(parse(&desk.ok(&["eval", "seen", "--json"]))["accuracy"], 1.0);
    assert_eq!(parse(&desk.ok(&["eval", "seen", "--data", "./stripes/", "--json"]))["accuracy"], 1.0);
    let first = |run: &str, file: &str| {
        let answers = parse(&desk.ok(&["predict", run, file, "--json"]));
        (
            answers[0]["classes"][0]["class"].as_str().unwrap().to_owned(),
            answers[0]["classes"][0]["probability"].clone(),
        )
    };
    assert_eq!(first("seen", "stripes/across/001.png").0, "across");
    assert_eq!(first("seen", "stripes/down/001.png").0, "down");

    // Without orientation the classes are the same, for training, evaluation and prediction.
    desk.ok(&["train", "stripes.toml", "--out", "stored", "--epochs", "4", "--set", "data.orientation=ignore"]);
    let accuracy = json(&desk.path("stored/summary.json"))["test_accuracy"].as_f64().unwrap();
    assert!(accuracy < 0.9, "{accuracy}");
    assert_eq!(parse(&desk.ok(&["eval", "stored", "--json"]))["accuracy"], accuracy);
    assert_eq!(first("stored", "stripes/across/001.png"), first("stored", "stripes/down/001.png"));
    // As if it had been stopped.
    fs::remove_file(desk.path("stored/summary.json")).unwrap();
    let text = desk.fails(2, &["resume", "stored", "--set", "data.orientation=exif"]);
    assert!(text.contains("data.orientation"), "{text}");
}

/// Before the device is opened, let alone a step done, and without a run folder.
#[test]
fn all_pictures_that_cannot_be_read_are_named_at_once_before_training() {
    let desk = Desk::new();
    stripes(&desk, 40);
    for number in 5..35 {
        let path = desk.path(&format!("stripes/down/{number:03}.png"));
        let bytes = fs::read(&path).unwrap();
        fs::write(path, &bytes[..bytes.len() - 12]).unwrap();
    }
    fs::write(desk.path("stripes/across/000.png"), "no picture").unwrap();
    for verb in ["train", "compare"] {
        let text = desk.fails(1, &[verb, "stripes.toml", "--out", "run"]);
        assert!(text.contains("31 of 80 images cannot be read"), "{text}");
        assert!(text.contains("000.png: it is none of PNG, JPEG"), "{text}");
        assert!(text.contains("down/023.png: the file ends within the image") && !text.contains("024.png"), "{text}");
        assert!(text.contains("and 11 more") && text.contains("frugal data check"), "{text}");
        assert!(!desk.path("run").exists());
    }
    // The list is whole here.
    for set in ["./stripes", "stripes", "stripes.toml"] {
        let output = desk.frugal(&["data", "check", set]);
        let (text, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("31 of 80 images cannot be read"), "{error}");
        assert!(text.contains("stripes: 49 of 80 samples are good"), "{text}");
        assert!((5..35).all(|number| text.contains(&format!("down/{number:03}.png: the file ends within"))), "{text}");
    }
}

#[test]
fn a_check_decodes_everything_and_counts_class_by_class() {
    let desk = Desk::new();
    stripes(&desk, 10);
    let text = desk.ok(&["data", "check", "./stripes"]);
    assert!(text.contains("20 of 20 samples are good") && !text.contains("cannot be read"), "{text}");
    // What no header tells.
    for class in ["across/003", "down/004", "down/005"] {
        let path = desk.path(&format!("stripes/{class}.png"));
        fs::write(&path, spoilt(&fs::read(&path).unwrap())).unwrap();
    }
    let output = desk.frugal(&["data", "check", "stripes", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report = parse(std::str::from_utf8(&output.stdout).unwrap());
    let counts: Vec<_> = report["parts"][0]["classes"].as_array().unwrap().iter().collect();
    assert_eq!((&counts[0]["class"], &counts[0]["good"], &counts[0]["bad"]), (&"across".into(), &9.into(), &1.into()));
    assert_eq!((&counts[1]["class"], &counts[1]["good"], &counts[1]["bad"]), (&"down".into(), &8.into(), &2.into()));
    let bad: Vec<&str> = report["bad"].as_array().unwrap().iter().map(|bad| bad["file"].as_str().unwrap()).collect();
    assert!(bad.len() == 3 && bad[0].ends_with("003.png") && bad[2].ends_with("005.png"), "{bad:?}");
    // In training it is met when its turn comes, and says how the others are found.
    let text = desk.fails(1, &["train", "stripes.toml", "--out", "run"]);
    assert!(text.contains(".png cannot be read as an image") && text.contains("frugal data check"), "{text}");
    // Sets of the catalogue are read, too.
    assert!(desk.ok(&["data", "check", "digits"]).contains("1,797 of 1,797 samples are good"));
    assert!(desk.fails(2, &["data", "check", "nothing"]).contains("no data set is called `nothing`"));
}

#[test]
fn predictions_take_folders_answer_the_good_pictures_and_name_the_bad_ones() {
    let desk = Desk::new();
    desk.ok(&["train", "digits.toml", "--out", "run"]);
    for number in 0..6 {
        write(&desk.path(&format!("photos/{}/{number}.png", ["b", "a"][number as usize % 2])), &rows(number));
    }
    write(&desk.path("photos/a/notes.txt"), b"no picture");
    write(&desk.path("photos/c.png"), &spoilt(&rows(1)));
    let output = desk.frugal(&["predict", "run", "photos/b/0.png", "photos", "absent.png", "--json"]);
    let (text, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("photos/c.png cannot be read as an image") && error.contains("absent.png"), "{error}");
    assert!(error.contains("2 of 9 images cannot be read"), "{error}");
    let answers = parse(&text);
    let images: Vec<&str> =
        answers.as_array().unwrap().iter().map(|answer| answer["image"].as_str().unwrap()).collect();
    let folders =
        ["photos/a/1.png", "photos/a/3.png", "photos/a/5.png", "photos/b/0.png", "photos/b/2.png", "photos/b/4.png"];
    let mut expected = folders.to_vec();
    expected.insert(0, "photos/b/0.png");
    assert_eq!(images, expected);
    assert!(answers.as_array().unwrap().iter().all(|answer| answer["classes"].as_array().unwrap().len() == 5));

    // As text, too; and an array that is empty is one.
    let output = desk.frugal(&["predict", "run", "absent.png", "photos/a/1.png"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.code() == Some(1) && text.starts_with("photos/a/1.png\n") && text.lines().count() == 6,
        "{text}"
    );
    let output = desk.frugal(&["predict", "run", "absent.png", "--json"]);
    assert_eq!((output.status.code(), String::from_utf8(output.stdout).unwrap().trim()), (Some(1), "[]"));
    fs::create_dir(desk.path("empty")).unwrap();
    assert!(desk.fails(1, &["predict", "run", "empty"]).contains("there is no picture in it"));
}

#[test]
fn images_that_are_made_keep_their_folders_and_nothing_is_written_over() {
    let desk = Desk::new();
    let config = common::DIGITS.replace("\"lenet\"", "\"autoencoder\"").replace("momentum = 0.9\n", "");
    fs::write(desk.path("images.toml"), config).unwrap();
    desk.ok(&["train", "images.toml", "--out", "run", "--set", "optimizer.kind=adam", "--set", "optimizer.lr=0.01"]);
    for (number, name) in ["in/a/1.png", "in/b/1.png", "in/2.png"].into_iter().enumerate() {
        write(&desk.path(name), &rows(number as u32));
    }
    write(&desk.path("in/3.png"), &spoilt(&rows(3)));
    let output = desk.frugal(&["predict", "run", "in", "--out", "made"]);
    let (text, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.code() == Some(1) && error.contains("1 of 4 images cannot be read"), "{error}");
    assert!(text.contains("in/a/1.png → made/a/1-made.png"), "{text}");
    for made in ["made/a/1-made.png", "made/b/1-made.png", "made/2-made.png"] {
        assert_eq!(image::open(desk.path(made)).unwrap().into_luma8().dimensions(), (8, 8));
    }
    assert!(!desk.path("made/3-made.png").exists());
    // Known before the first is written.
    fs::remove_file(desk.path("made/2-made.png")).unwrap();
    let text = desk.fails(2, &["predict", "run", "in/2.png", "in", "--out", "made"]);
    assert!(text.contains("1-made.png is there already") || text.contains("would both be written"), "{text}");
    let text = desk.fails(2, &["predict", "run", "in/a/1.png", "in/b/1.png", "--out", "other"]);
    assert!(text.contains("in/a/1.png and of in/b/1.png would both be written to other/1-made.png"), "{text}");
    assert!(!desk.path("made/2-made.png").exists() && !desk.path("other").exists());
}
