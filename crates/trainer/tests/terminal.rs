//! The program at pipes that close, full disks, terminals that vanish and signals that are ignored. Needs an adapter; the
//! software one will do.

#![cfg(unix)]

mod common;

use common::{Desk, json};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, PipeWriter, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const TRAIN: [&str; 4] = ["train", "digits.toml", "--out", "run"];
/// Some minutes, if nothing stops it.
const LONG: [&str; 6] = ["train", "digits.toml", "--out", "run", "--epochs", "2000"];

/// A pipe whose reader has gone.
fn closed() -> PipeWriter {
    io::pipe().unwrap().1
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// Waits, but not for ever.
fn end(mut child: Child) -> Option<i32> {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(120) {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    panic!("it does not end");
}

/// The verbs that print something on standard output within a moment.
const ANSWERS: &[&[&str]] = &[
    &["--help"],
    &["--version"],
    &["help"],
    &["train", "--help"],
    &["help", "bench", "step"],
    &["completions", "bash"],
    &["man"],
    &["nets"],
    &["devices"],
    &["devices", "--json"],
    &["data", "list"],
    &["data", "list", "--json"],
    &["data", "get", "digits"],
    &["plan", "digits.toml"],
    &["plan", "digits.toml", "--json"],
    &["plan", "digits.toml", "--max-batch", "1MiB"],
    &["bench", "step", "digits.toml", "--steps", "1", "--warm-up", "1"],
];

#[test]
#[cfg(target_os = "linux")]
fn output_that_cannot_be_written_is_an_error_of_every_verb() {
    let desk = Desk::new();
    desk.ok(&TRAIN);
    let of_run: [&[&str]; 4] =
        [&["inspect", "run"], &["eval", "run"], &["eval", "run", "--json"], &["resume", "--help"]];
    for arguments in ANSWERS.iter().chain(&of_run) {
        let output = desk.command(arguments).stdout(full()).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
        assert_eq!(text.matches("No space left").count(), 1, "{arguments:?}: {text}");
        assert!(text.contains("error: cannot write to standard output: No space left"), "{arguments:?}: {text}");
        // Its reader has what it wanted.
        let output = desk.command(arguments).stdout(closed()).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {text}");
        assert!(!text.contains("error") && !text.contains("panicked"), "{arguments:?}: {text}");
    }
}

#[test]
fn output_that_is_closed_from_the_beginning_is_an_error_too() {
    let desk = Desk::new();
    for arguments in ANSWERS {
        let shell = ["-c", "exec \"$0\" \"$@\" >&-", env!("CARGO_BIN_EXE_frugal")];
        let output = Command::new("sh").args(shell).args(*arguments).current_dir(desk.path("")).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
        assert!(text.contains("error: cannot write to standard output: it is closed"), "{arguments:?}: {text}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_is_finished_before_its_summary_is_printed() {
    let desk = Desk::new();
    assert_eq!(desk.command(&TRAIN).stdout(full()).output().unwrap().status.code(), Some(1));
    assert!(json(&desk.path("run/summary.json"))["test_accuracy"].as_f64().unwrap() > 0.5);
    assert!(desk.path("run/weights.safetensors").exists());
    let compare = ["compare", "digits.toml", "--stores", "raw", "--no-examine", "--out", "both"];
    assert_eq!(desk.command(&compare).stdout(full()).output().unwrap().status.code(), Some(1));
    assert!(desk.path("both/report.html").exists() && desk.path("both/table.json").exists());
}

/// `2> /dev/full`, `2>&-`, and `2>&1 | head`.
#[test]
#[cfg(target_os = "linux")]
fn progress_that_nobody_can_read_changes_nothing() {
    let desk = Desk::new();
    desk.ok(&TRAIN);
    let weights = |run: &str| fs::read(desk.path(run).join("weights.safetensors")).unwrap();
    let train = |out| ["train", "digits.toml", "--out", out];
    let compare = ["compare", "digits.toml", "--stores", "raw,f16", "--out", "both"];
    // Drivers and libraries say much, too.
    let log = |arguments: &[&str]| {
        let mut command = desk.command(arguments);
        command.env("RUST_LOG", "debug").stdout(Stdio::null());
        command
    };
    assert_eq!(log(&train("full")).stderr(full()).status().unwrap().code(), Some(0));
    assert_eq!(log(&train("closed")).stderr(closed()).status().unwrap().code(), Some(0));
    assert!(weights("run") == weights("full") && weights("run") == weights("closed"));
    let both = closed();
    let mut command = log(&compare);
    assert_eq!(command.stdout(both.try_clone().unwrap()).stderr(both).status().unwrap().code(), Some(0));
    assert!(weights("run") == weights("both/raw-1") && desk.path("both/report.html").exists());
    for arguments in [&["resume", "run"][..], &["no-such-verb"], &["train", "none.toml"]] {
        assert_eq!(log(arguments).stderr(full()).status().unwrap().code(), Some(2), "{arguments:?}");
        assert_eq!(log(arguments).stderr(closed()).status().unwrap().code(), Some(2), "{arguments:?}");
    }
    for arguments in ANSWERS {
        assert_eq!(log(arguments).stderr(full()).status().unwrap().code(), Some(0), "{arguments:?}");
    }
    let shell = "exec \"$0\" \"$@\" 2>&- >&-";
    let shell = ["-c", shell, env!("CARGO_BIN_EXE_frugal"), "train", "digits.toml", "--out", "neither"];
    assert_eq!(Command::new("sh").args(shell).current_dir(desk.path("")).status().unwrap().code(), Some(1));
    assert!(weights("run") == weights("neither"));
}

#[test]
fn a_reader_that_leaves_after_some_lines_ends_no_run() {
    let desk = Desk::new();
    let (reader, writer) = io::pipe().unwrap();
    let mut command = desk.command(&["train", "digits.toml", "--out", "run", "--epochs", "20"]);
    let child = command.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
    drop(command);
    let mut lines = BufReader::new(reader).lines();
    assert!(lines.by_ref().map_while(Result::ok).any(|line| line.contains("epoch 1/20")));
    drop(lines);
    assert_eq!(end(child), Some(0));
    let metrics = fs::read_to_string(desk.path("run/metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().filter(|line| line.contains("\"kind\":\"epoch\"")).count(), 20);
    assert!(desk.path("run/summary.json").exists());
}

/// A run that has begun its steps, started by a shell that ignores a signal, or none.
fn begun(desk: &Desk, ignored: &str) -> Child {
    let shell = format!("trap '' {ignored}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", if ignored.is_empty() { "exec \"$0\" \"$@\"" } else { &shell }]);
    command.arg(env!("CARGO_BIN_EXE_frugal")).args(LONG).current_dir(desk.path(""));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("epoch 1/")));
    std::thread::spawn(move || lines.count());
    child
}

#[test]
fn signals_that_are_ignored_at_the_start_stay_ignored() {
    let signals = [("HUP", Signal::HUP), ("INT", Signal::INT), ("TERM", Signal::TERM)];
    for (ignored, signal) in signals {
        let desk = Desk::new();
        let mut child = begun(&desk, ignored);
        let id = Pid::from_child(&child);
        kill_process(id, signal).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(child.try_wait().unwrap(), None, "{ignored}");
        // Another one is heeded.
        let (_, other) = signals.into_iter().find(|(name, _)| *name != ignored).unwrap();
        kill_process(id, other).unwrap();
        assert_eq!(end(child), Some(130), "{ignored}");
        assert!(fs::read_dir(desk.path("run/checkpoints")).unwrap().count() > 0);
    }
}

#[test]
fn signals_that_are_not_ignored_end_a_run_in_good_order() {
    for signal in [Signal::HUP, Signal::INT, Signal::TERM] {
        let desk = Desk::new();
        let child = begun(&desk, "");
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(end(child), Some(130), "{signal:?}");
    }
}

/// A terminal of a hundred columns: the side that shows, and the side that a program gets.
fn terminal() -> (File, File) {
    let shows = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    // The program must not hold it open itself.
    fcntl_setfd(&shows, FdFlags::CLOEXEC).unwrap();
    grantpt(&shows).unwrap();
    unlockpt(&shows).unwrap();
    tcsetwinsize(&shows, Winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let name = ptsname(&shows, Vec::new()).unwrap().into_string().unwrap();
    (shows.into(), File::options().read(true).write(true).open(name).unwrap())
}

/// A call whose standard input and error are a terminal.
fn at_terminal(desk: &Desk, arguments: &[&str]) -> (Child, File) {
    let (shows, given) = terminal();
    let mut command = desk.command(arguments);
    command.env("TERM", "xterm-256color").env_remove("NO_COLOR").stdout(Stdio::null());
    (command.stdin(given.try_clone().unwrap()).stderr(given).spawn().unwrap(), shows)
}

/// What a terminal shows until there is this text in it, or to its end. Of a picture only what changes is sent, so that words may
/// have no spaces between them.
fn read_until(shows: &mut File, text: &str) -> String {
    let (mut all, mut bytes) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = shows.read(&mut bytes) {
        all.extend(&bytes[..count]);
        if String::from_utf8_lossy(&all).contains(text) {
            break;
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn a_run_goes_on_when_its_terminal_vanishes() {
    for (view, sign) in [(&["--tui"][..], "Ctrl-C:"), (&[], "steps,")] {
        let desk = Desk::new();
        let train = ["train", "digits.toml", "--out", "run", "--epochs", "15"];
        let (child, mut shows) = at_terminal(&desk, &[&train, view].concat());
        assert!(read_until(&mut shows, sign).contains(sign), "{view:?}");
        drop(shows);
        assert_eq!(end(child), Some(0), "{view:?}");
        assert!(json(&desk.path("run/summary.json"))["test_accuracy"].as_f64().unwrap() > 0.5);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_dashboard_whose_terminal_vanishes_ends_by_itself() {
    let desk = Desk::new();
    let (mut child, mut shows) = at_terminal(&desk, &[&LONG[..], &["--tui"]].concat());
    read_until(&mut shows, "1/2000");
    let tasks = format!("/proc/{}/task", child.id());
    let draws = || {
        let names =
            fs::read_dir(&tasks).unwrap().filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.into_iter().any(|name| name == "dashboard\n")
    };
    assert!(draws());
    drop(shows);
    let begin = Instant::now();
    while draws() {
        assert!(begin.elapsed() < Duration::from_secs(10), "it still draws, or waits for keys");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(child.try_wait().unwrap(), None);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(end(child), Some(130));
}

/// `q`, and Ctrl-C, which a terminal in raw mode sends as a character.
#[test]
fn keys_end_a_run_that_has_a_dashboard() {
    for key in [b"q", b"\x03"] {
        let desk = Desk::new();
        let (child, mut shows) = at_terminal(&desk, &[&LONG[..], &["--tui"]].concat());
        read_until(&mut shows, "1/2000");
        // An arrow first, which means nothing.
        io::Write::write_all(&mut shows, b"\x1b[A").unwrap();
        std::thread::sleep(Duration::from_millis(200));
        io::Write::write_all(&mut shows, key).unwrap();
        let text = read_until(&mut shows, "frugal resume");
        assert!(text.contains("\x1b[?1049l") && text.contains("stopped after step"), "{text}");
        assert_eq!(end(child), Some(130));
    }
}

/// Clears the screen, sets the title, rings, in red, and the same in eight bits.
const ESCAPES: &str = "\x1b[2J\x1b]0;a\x07\x1b[31mb\u{9b}2J";
const AS_TEXT: &str = "\\u001b[2J\\u001b]0;a\\u0007\\u001b[31mb\\u009b2J";

fn assert_plain(text: &str, about: &str) {
    let sent = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
    assert_eq!(sent, None, "{about}: {text:?}");
}

#[test]
fn escape_sequences_in_names_are_shown_and_not_sent() {
    let desk = Desk::new();
    let config = |change: &str| {
        let name = format!("{ESCAPES}.toml");
        fs::write(desk.path(&name), common::DIGITS.replace("[train]", &format!("{change}\n[train]"))).unwrap();
        name
    };
    let key = config("\"\\u001b[2J\" = 1");
    let value = format!("data.set={ESCAPES}");
    let verb = format!("x{ESCAPES}");
    let option = format!("--y{ESCAPES}");
    let wrong: [&[&str]; 12] = [
        &["train", &verb],
        &["train", &key],
        &["train", "digits.toml", "--set", &value],
        &["train", "digits.toml", "--set", ESCAPES],
        &["train", "digits.toml", "--out", "run", &option],
        &["plan", "digits.toml", "--store", ESCAPES],
        &["train", "digits.toml", "--device", ESCAPES],
        &["eval", ESCAPES],
        &["inspect", ESCAPES],
        &["data", "get", ESCAPES],
        &[&verb],
        &[&option],
    ];
    for arguments in wrong {
        let output = desk.command(arguments).env("RUST_LOG", "debug").output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{arguments:?}: {text}");
        assert_plain(&text, &format!("{arguments:?}"));
        assert!(text.contains("\\u001b[2J"), "{arguments:?}: {text}");
        // The colours of the message are sent all the same.
        let (child, mut shows) = at_terminal(&desk, arguments);
        let text = read_until(&mut shows, "no such text").replace(['\n', '\r'], "");
        assert!(text.contains("\x1b[") && text.contains("error:"), "{arguments:?}: {text:?}");
        assert!(!text.contains("\x1b[2J") && !text.contains(['\x07', '\u{9b}']), "{arguments:?}: {text:?}");
        assert!(!text.contains("\x1b]0;"), "{arguments:?}: {text:?}");
        end(child);
    }
}

/// Names of folders and classes go into the progress, the answers and the reports.
#[test]
fn escape_sequences_in_names_of_sets_and_classes_are_shown_and_not_sent() {
    let desk = Desk::new();
    let photos = format!("photos{ESCAPES}");
    for (class, name) in [format!("a{ESCAPES}"), format!("b{ESCAPES}")].iter().enumerate() {
        let folder = desk.path(&format!("{photos}/{name}"));
        fs::create_dir_all(&folder).unwrap();
        for n in 0..12u8 {
            let image =
                image::GrayImage::from_fn(12, 12, |x, _| image::Luma([if x < 6 * class as u32 { n } else { 200 }]));
            image.save(folder.join(format!("{n}.png"))).unwrap();
        }
    }
    let set = format!(
        "set = \"./{}\"\nbatch = 8",
        photos.replace('\x1b', "\\u001b").replace('\x07', "\\u0007").replace('\u{9b}', "\\u009b")
    );
    fs::write(desk.path("photos.toml"), common::DIGITS.replace("set = \"digits\"\nbatch = 50", &set)).unwrap();
    let out = format!("out{ESCAPES}");
    let compare = ["compare", "photos.toml", "--stores", "raw,f16", "--out", &out, "--set", "data.size=12"];
    let image = format!("{photos}/a{ESCAPES}/3.png");
    let run = format!("{out}/raw-1");
    let calls: [&[&str]; 6] = [
        &compare,
        &["eval", &run],
        &["eval", &run, "--json"],
        &["predict", &run, &image],
        &["inspect", &run],
        &["plan", "photos.toml", "--set", "data.size=12"],
    ];
    for arguments in calls {
        let output = desk.command(arguments).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {text}");
        assert_plain(&text, &format!("{arguments:?}"));
    }
    let reports = fs::read_dir(desk.path(&out)).unwrap().map(|entry| entry.unwrap().path());
    let texts = ["html", "svg", "md"];
    let is_text = |path: &Path| path.extension().is_some_and(|ending| texts.iter().any(|text| ending == *text));
    let mut shown = 0;
    for path in reports.filter(|path| is_text(path)) {
        let text = fs::read_to_string(&path).unwrap();
        assert_plain(&text, &path.display().to_string());
        shown += usize::from(text.contains(AS_TEXT));
    }
    assert!(shown >= 2, "the set is named in the page and the table");
    // On a terminal, by the bar and by the dashboard.
    for view in [&["--tui"][..], &[]] {
        let again = ["train", "photos.toml", "--set", "data.size=12", "--set", "train.epochs=3"];
        let (child, mut shows) = at_terminal(&desk, &[&again, view].concat());
        let text = read_until(&mut shows, "no such text");
        assert_eq!(end(child), Some(0), "{text}");
        assert!(!text.contains("\x1b]0;") && !text.contains(['\x07', '\u{9b}']), "{text:?}");
    }
}
