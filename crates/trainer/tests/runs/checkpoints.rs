//! What does not serve to go on.

use super::common::{Desk, json};
use super::{SETTINGS, assert_same, checkpoints, cut, start, whole};
use frugal_trainer::state::checkpoint;
use proptest::prelude::*;
use std::fs;
use std::path::Path;
use std::time::Duration;

#[test]
fn a_damaged_checkpoint_is_put_aside_and_the_one_before_it_serves() {
    let desk = Desk::new();
    let whole = whole(&desk, &[]);
    for name in ["truncated", "empty", "flipped"] {
        let run = cut(&desk, "whole", name, 21);
        let path = checkpoints(&run).pop().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        match name {
            "truncated" => bytes.truncate(bytes.len() - 100),
            "empty" => bytes.clear(),
            _ => *bytes.last_mut().unwrap() ^= 1,
        }
        fs::write(&path, bytes).unwrap();
        let output = desk.frugal(&["resume", name]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {text}");
        assert!(text.contains("step-00000021.safetensors is damaged") && text.contains("after step 14"), "{text}");
        assert_same(&whole, &run);
        assert!(run.join("checkpoints/step-00000021.safetensors.damaged").exists());
    }
    let run = cut(&desk, "whole", "hopeless", 14);
    for path in checkpoints(&run) {
        fs::write(path, "nothing").unwrap();
    }
    let text = desk.fails(2, &["resume", "hopeless"]);
    assert!(
        text.contains("none of the 2 checkpoints in hopeless/checkpoints can be used")
            && text.contains("to begin the run anew"),
        "{text}"
    );
    assert_eq!(checkpoints(&run).len(), 2);
}

/// A folder in its place cannot be read by anyone, root included.
#[test]
fn a_newest_checkpoint_that_cannot_be_read_falls_back_to_the_one_before() {
    let desk = Desk::new();
    let whole = whole(&desk, &[]);
    let run = cut(&desk, "whole", "run", 21);
    let path = checkpoints(&run).pop().unwrap();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let output = desk.frugal(&["resume", "run"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("warning: cannot read") && text.contains("after step 14"), "{text}");
    assert_same(&whole, &run);
    assert!(run.join("checkpoints/step-00000021.safetensors.damaged").is_dir());
}

#[test]
fn where_no_checkpoint_of_a_step_is_whole_the_best_one_serves() {
    let desk = Desk::new();
    let whole = whole(&desk, &[]);
    let best = checkpoint::best(&whole);
    let step = checkpoint::read(&best).unwrap().about.state.step;
    let run = cut(&desk, "whole", "run", 100);
    fs::copy(&best, checkpoint::best(&run)).unwrap();
    checkpoints(&run).iter().for_each(|path| fs::write(path, "nothing").unwrap());
    let output = desk.frugal(&["resume", "run"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains(&format!("the checkpoint after the best evaluation serves, of step {step}")), "{text}");
    assert_same(&whole, &run);
}

#[test]
fn checkpoints_of_others_are_refused_and_nothing_changes() {
    let desk = Desk::new();
    whole(&desk, &[]);
    let snapshot = |run: &Path| {
        let files = checkpoints(run).into_iter().chain(["metrics.jsonl", "config.resolved.toml"].map(|f| run.join(f)));
        files.map(|path| (fs::read(&path).unwrap(), path)).collect::<Vec<_>>()
    };

    // Another net: the first value that differs, with both shapes.
    desk.ok(&["train", "digits.toml", "--out", "other", "--set", "model.net=resnet8"]);
    let run = cut(&desk, "whole", "run", 7);
    let other = checkpoints(&desk.path("other")).pop().unwrap();
    fs::copy(&other, run.join("checkpoints").join(other.file_name().unwrap())).unwrap();
    let before = snapshot(&run);
    let text = desk.fails(2, &["resume", "run"]);
    assert!(
        text.contains("values of resnet8") && text.contains("`conv1.weight` is 16×1×3×3 there and is 8×1×5×5 here"),
        "{text}"
    );
    assert!(before == snapshot(&run));

    // A later version.
    let run = cut(&desk, "whole", "later", 7);
    let path = checkpoints(&run).pop().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let format = br#"\"format\":1,"#;
    let place = bytes.windows(format.len()).position(|window| window == format).unwrap();
    bytes[place + format.len() - 2] = b'7';
    fs::write(&path, bytes).unwrap();
    let before = snapshot(&run);
    let text = desk.fails(2, &["resume", "later"]);
    assert!(text.contains("has format 7") && text.contains("up to 1") && text.contains("a later one"), "{text}");
    assert!(before == snapshot(&run));

    // Other settings in the run's folder; the length may change.
    let run = cut(&desk, "whole", "changed", 7);
    let change = |from: &str, to: &str| {
        let path = run.join("config.resolved.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(path, text.replace(from, to)).unwrap();
    };
    change("batch = 50", "batch = 25");
    change("seed = 1", "seed = 2");
    assert!(desk.fails(2, &["resume", "changed"]).contains("made with other settings: seed, data.batch"));
    change("batch = 25", "batch = 50");
    change("seed = 2", "seed = 1");
    change("epochs = 2", "epochs = 1");
    desk.ok(&["resume", "changed"]);
    assert_eq!(json(&run.join("summary.json"))["steps"], 29);
}

#[test]
fn what_cannot_be_resumed_says_why() {
    let desk = Desk::new();
    whole(&desk, &[]);
    let text = desk.fails(2, &["resume", "whole"]);
    assert!(text.contains("the run in whole is finished") && text.contains("frugal resume whole --epochs N"), "{text}");
    assert!(desk.fails(2, &["resume", "whole", "--epochs", "2"]).contains("the run in whole is finished"));
    assert!(desk.fails(2, &["resume", "nowhere"]).contains("not the folder of a run"));
    fs::create_dir(desk.path("empty")).unwrap();
    assert!(desk.fails(2, &["resume", "empty"]).contains("it has no config.resolved.toml"));

    // The data went away.
    let run = cut(&desk, "whole", "orphan", 0);
    let config = run.join("config.resolved.toml");
    let text = fs::read_to_string(&config).unwrap();
    let root = toml::Value::String(desk.path("no data").display().to_string());
    let lines = text.lines().map(|line| match line.split_once(" = ") {
        Some(("set", _)) => "set = \"mnist\"".to_owned(),
        Some(("root", _)) => format!("root = {root}"),
        _ => line.to_owned(),
    });
    fs::write(&config, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let before = fs::read(run.join("metrics.jsonl")).unwrap();
    let text = desk.fails(1, &["resume", "orphan"]);
    assert!(text.contains("mnist") && text.contains("frugal data get mnist"), "{text}");
    assert!(before == fs::read(run.join("metrics.jsonl")).unwrap());
}

/// Whatever became of the process before: only one that lives keeps others away.
#[test]
fn two_processes_never_work_on_one_run() {
    let desk = Desk::new();
    let train = [&["train", "digits.toml", "--out", "run"][..], &SETTINGS, &["--epochs", "500"]].concat();
    let mut first = start(&desk, &train);
    let run = desk.path("run");
    while !run.join("checkpoints/step-00000007.safetensors").exists() {
        assert!(first.try_wait().unwrap().is_none(), "the run ended too early");
        std::thread::sleep(Duration::from_millis(5));
    }
    let text = desk.fails(2, &["resume", "run"]);
    assert!(text.contains("another process is training the run in run") && text.contains("frugal inspect"), "{text}");
    // Looking is allowed.
    assert!(desk.ok(&["inspect", "run"]).contains("lenet"));
    assert!(first.try_wait().unwrap().is_none(), "the first process was disturbed");
    first.kill().unwrap();
    first.wait().unwrap();
    let config = run.join("config.resolved.toml");
    let text = fs::read_to_string(&config).unwrap();
    let text = text.replace("epochs = 500", "epochs = 1").replace("eval_every_steps = 11", "eval_every_steps = 0");
    fs::write(&config, text).unwrap();
    desk.ok(&["resume", "run"]);
    assert!(run.join("summary.json").exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever the bytes, reading a checkpoint ends with a value or an error.
    #[test]
    fn hostile_bytes_are_refused(bytes: Vec<u8>, header in "[ -~]{0,200}") {
        let framed = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &bytes].concat();
        prop_assert!(checkpoint::decode(Path::new("x"), &bytes).is_err());
        prop_assert!(checkpoint::decode(Path::new("x"), &framed).is_err());
    }
}
