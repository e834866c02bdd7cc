//! Disks that are full, and folders that nobody may write to.

use super::common::Desk;
use super::{SETTINGS, assert_same, cut, whole};
use std::fs;
use std::process::Command;

/// Runs a script as the root of a name space of its own, where it may mount; `None` where the system does not allow that.
fn as_root(desk: &Desk, script: &str) -> Option<(i32, String)> {
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", script]).current_dir(desk.path(""));
        command.env("FRUGAL", env!("CARGO_BIN_EXE_frugal")).output().ok()
    };
    fs::create_dir_all(desk.path("mounted")).unwrap();
    if !unshare("mount -t tmpfs none mounted").is_some_and(|output| output.status.success()) {
        eprintln!("skipped: this system lets nobody mount");
        return None;
    }
    let output = unshare(script)?;
    Some((output.status.code()?, String::from_utf8_lossy(&output.stderr).into_owned()))
}

#[test]
fn on_a_full_disk_a_run_stops_and_what_was_written_serves_to_go_on() {
    let desk = Desk::new();
    let whole = whole(&desk, &[]);
    // Room for two checkpoints, not for three. With more room the run goes on, and its folder is copied out.
    let train = format!("\"$FRUGAL\" train digits.toml --out mounted/run {}", SETTINGS.join(" "));
    let script = format!(
        "mount -t tmpfs -o size=300k none mounted && {train}; code=$?; ls mounted/run/checkpoints >&2; \
         mount -o remount,size=64m mounted && \"$FRUGAL\" resume mounted/run && cp -r mounted/run saved; exit $code"
    );
    let Some((code, text)) = as_root(&desk, &script) else { return };
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("No space left on device") && text.contains("frugal resume"), "{text}");
    assert!(text.contains("step-00000007.safetensors") && text.contains("after step"), "{text}");
    assert_same(&whole, &desk.path("saved"));
}

/// The same without mounting: a device that is always full takes the place of the metrics.
#[test]
fn metrics_that_cannot_be_written_stop_a_run() {
    let desk = Desk::new();
    whole(&desk, &[]);
    let run = cut(&desk, "whole", "run", 0);
    fs::remove_file(run.join("metrics.jsonl")).unwrap();
    std::os::unix::fs::symlink("/dev/full", run.join("metrics.jsonl")).unwrap();
    let text = desk.fails(1, &["resume", "run"]);
    assert!(text.contains("metrics.jsonl") && text.contains("No space left on device"), "{text}");
    assert!(text.contains("free some space"), "{text}");
    fs::remove_file(run.join("metrics.jsonl")).unwrap();
    desk.ok(&["resume", "run"]);
    assert_same(&desk.path("whole"), &run);
}

#[test]
fn a_folder_that_cannot_be_written_to_is_said_before_anything_is_done() {
    let desk = Desk::new();
    let whole = whole(&desk, &[]);
    cut(&desk, "whole", "mounted", 14);
    let script = "mount --bind mounted mounted && mount -o remount,ro,bind mounted && cd . && \
                  \"$FRUGAL\" train digits.toml --out mounted/new; \"$FRUGAL\" resume mounted";
    let Some((code, text)) = as_root(&desk, script) else { return };
    assert_eq!(code, 1, "{text}");
    assert_eq!(text.matches("help: the folder cannot be written to").count(), 2, "{text}");
    assert!(text.contains("choose another (--out)"), "{text}");
    // Nothing was lost.
    desk.ok(&["resume", "mounted"]);
    assert_same(&whole, &desk.path("mounted"));
}
