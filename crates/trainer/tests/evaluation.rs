//! Evaluations: classes are known by their names, and answers that are none are errors. Needs an adapter; the software one
//! will do.

mod common;

use common::{DIGITS, Desk, json};
use image::RgbImage;
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Pictures of a colour each, which a net tells apart after a second.
const COLOURS: [(&str, [u8; 3]); 4] =
    [("red", [220, 30, 30]), ("green", [30, 220, 30]), ("blue", [30, 30, 220]), ("white", [220, 220, 220])];

/// A folder `name` with `count` pictures of each of these classes, a training and a test part: what classes are called, and of
/// which of [`COLOURS`] they are.
fn pictures(desk: &Desk, name: &str, count: u32, classes: &[(&str, usize)]) {
    for ((class, colour), part) in classes.iter().flat_map(|class| [(class, "train"), (class, "test")]) {
        let folder = desk.path(name).join(part).join(class);
        std::fs::create_dir_all(&folder).unwrap();
        for number in 0..count {
            // Some of one class look like the next, so that not all answers are right.
            let likeness = if number % 4 == 3 { (colour + 1) % 3 } else { *colour };
            let shade = (number % 20) as u8;
            let image = RgbImage::from_fn(8, 8, |x, y| {
                image::Rgb(COLOURS[likeness].1.map(|value| value - shade + ((x * y) % 7) as u8))
            });
            image.save(folder.join(format!("{number:02}.png"))).unwrap();
        }
    }
}

/// A run whose net knows red, green and blue.
fn desk() -> Desk {
    let desk = Desk::new();
    let classes = [("blue", 2), ("green", 1), ("red", 0)];
    pictures(&desk, "colours", 24, &classes);
    let config = DIGITS.replace("set = \"digits\"", "set = \"./colours\"").replace("batch = 50", "batch = 8");
    std::fs::write(desk.path("colours.toml"), config).unwrap();
    desk.ok(&["train", "colours.toml", "--out", "run", "--set", "train.epochs=2"]);
    desk
}

fn evaluate(desk: &Desk, what: &[&str]) -> Value {
    serde_json::from_str(&desk.ok(&[&["eval", "--json"], what].concat())).unwrap()
}

#[test]
fn a_set_with_some_of_the_classes_is_evaluated_as_the_whole_set_is_on_those() {
    let desk = desk();
    let all = evaluate(&desk, &["run"]);
    assert_eq!((&all["known_classes"], &all["evaluated_classes"]), (&Value::from(3), &Value::from(3)));
    // In the set green is the first class, in the net the second.
    pictures(&desk, "some", 24, &[("green", 1), ("red", 0)]);
    let some = evaluate(&desk, &["run", "--data", "./some"]);
    assert_eq!((&some["known_classes"], &some["evaluated_classes"]), (&Value::from(3), &Value::from(2)));
    assert_eq!(some["classes"][0]["accuracy"], Value::Null);
    let right = |class: usize| all["confusion"][class][class].as_u64().unwrap();
    assert_eq!(some["accuracy"], Value::from((right(1) + right(2)) as f64 / 48.0));
    for class in [1, 2] {
        assert_eq!(
            (&some["confusion"][class], &some["classes"][class]),
            (&all["confusion"][class], &all["classes"][class])
        );
    }
    let text = desk.ok(&["eval", "run", "--data", "./some"]);
    assert!(text.contains("2 of the net's 3 classes have samples"), "{text}");
}

#[test]
fn classes_that_the_net_does_not_know_are_refused_by_name() {
    let desk = desk();
    pictures(&desk, "shifted", 4, &[("green", 1), ("red", 0), ("white", 3)]);
    let text = desk.fails(2, &["eval", "run", "--data", "./shifted"]);
    assert!(text.contains("does not know the class `white` of shifted"), "{text}");
    assert!(text.contains("knows `blue`, `green`, `red`"), "{text}");
    // As many classes, with other names.
    pictures(&desk, "others", 4, &[("bleu", 2), ("rouge", 0), ("vert", 1)]);
    let text = desk.fails(2, &["eval", "run", "--data", "./others"]);
    assert!(text.contains("`bleu`, `rouge`, `vert`") && text.contains("did you mean `blue` by `bleu`?"), "{text}");
    assert!(text.contains("--classes-by-number"), "{text}");
    let output = desk.frugal(&["eval", "run", "--data", "./others", "--classes-by-number"]);
    assert!(output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("classes are matched by number"));
}

#[test]
fn a_set_of_more_classes_is_refused_also_by_number() {
    let desk = desk();
    pictures(&desk, "four", 4, &[("a", 0), ("b", 1), ("c", 2), ("d", 3)]);
    let text = desk.fails(2, &["eval", "run", "--data", "./four"]);
    assert!(text.contains("`a`, `b`, `c`, `d`") && !text.contains("--classes-by-number"), "{text}");
    let text = desk.fails(2, &["eval", "run", "--data", "./four", "--classes-by-number"]);
    assert!(text.contains("four has 4 classes, but the net knows 3"), "{text}");
}

#[test]
fn two_losses_in_a_summary_have_two_names() {
    let desk = Desk::new();
    let text = desk.ok(&["train", "digits.toml", "--out", "run", "--set", "loss.label_smoothing=0.2"]);
    assert!(text.contains("(cross-entropy with label smoothing 0.2)"), "{text}");
    let summary = json(&desk.path("run/summary.json"));
    assert_eq!(summary["loss"], "cross-entropy with label smoothing 0.2");
    let (trained, plain) = (summary["test_loss"].as_f64().unwrap(), &summary["evaluation"]["cross_entropy"]);
    assert!((trained - plain.as_f64().unwrap()).abs() > 0.01, "{trained} {plain}");
    assert_eq!(&evaluate(&desk, &["run"])["cross_entropy"], plain);
    desk.ok(&["train", "digits.toml", "--out", "other", "--set", "loss.kind=mse"]);
    let summary = json(&desk.path("other/summary.json"));
    assert_eq!((&summary["loss"], &summary["evaluation"]["loss"]), (&Value::from("mean squared error"), &Value::Null));
}

/// Whatever becomes of a run's files while it trains, the net that it has learned is evaluated.
#[test]
fn the_end_of_a_run_does_not_read_its_own_files() {
    let desk = Desk::new();
    let mut run = Command::new(env!("CARGO_BIN_EXE_frugal"));
    run.args(["train", "digits.toml", "--out", "run", "--epochs", "30"]).current_dir(desk.path(""));
    let mut child = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let patience = Instant::now();
    // The first checkpoint comes after the files that describe the run.
    while !desk.path("run/checkpoints/step-00000029.safetensors").exists() {
        assert!(patience.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(1));
    }
    for file in ["config.resolved.toml", "data.json", "config.toml"] {
        std::fs::write(desk.path("run").join(file), "nothing that can be read").unwrap();
    }
    assert!(!desk.path("run/summary.json").exists(), "the run ended before its files were changed");
    assert!(child.wait().unwrap().success());
    let summary = json(&desk.path("run/summary.json"));
    assert_eq!(summary["evaluation"]["accuracy"], summary["test_accuracy"]);
}
