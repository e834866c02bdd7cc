//! Runs that are killed, again and again.

use super::common::Desk;
use super::{RECIPE, SETTINGS, assert_same, interrupt, newest, sets, start};
use std::fs;
use std::time::{Duration, Instant};

/// Numbers that look like chance, from 0 to 1.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Trains in `name`, is stopped at random moments within the time that a run takes, each time resumed, and in the end left
/// alone. Every third time it is asked to stop, all others it is killed.
fn killed(desk: &Desk, name: &str, train: &[&str], whole: Duration, chance: &mut Chance, times: usize) -> usize {
    let run = desk.path(name);
    let (mut kills, mut within_evaluation) = (0, 0);
    for time in 1..=times {
        let resumable = run.join("config.resolved.toml").exists();
        let mut child = if resumable { start(desk, &["resume", name]) } else { start(desk, train) };
        std::thread::sleep(whole.mul_f64(chance.next()));
        match time % 3 {
            0 => interrupt(&mut child),
            _ => child.kill().unwrap(),
        }
        let status = child.wait().unwrap();
        if run.join("summary.json").exists() {
            // It was faster: another one from the beginning.
            fs::remove_dir_all(&run).unwrap();
            continue;
        }
        kills += 1;
        if status.code() == Some(130) && newest(&run).about.state.pending {
            within_evaluation += 1;
        }
        if !run.join("config.resolved.toml").exists() && run.exists() {
            // Killed before it had written down what it is.
            fs::remove_dir_all(&run).unwrap();
        }
    }
    let resume = ["resume", name];
    desk.ok(if run.join("config.resolved.toml").exists() { &resume } else { train });
    println!("{name}: stopped {kills} times, {within_evaluation} of them within an evaluation");
    kills
}

fn kill_and_compare(cases: &[&[&str]], times: usize, seed: u64) {
    let desk = Desk::new();
    let mut chance = Chance(seed);
    let mut kills = 0;
    for case in cases {
        let arguments =
            |out: &'static str| [&["train", "digits.toml", "--out", out][..], &sets(case), &SETTINGS].concat();
        let begin = Instant::now();
        desk.ok(&arguments("whole"));
        let whole = begin.elapsed();
        kills += killed(&desk, "killed", &arguments("killed"), whole, &mut chance, times);
        assert_same(&desk.path("whole"), &desk.path("killed"));
        for run in ["whole", "killed"] {
            fs::remove_dir_all(desk.path(run)).unwrap();
        }
    }
    println!("{kills} kills");
    assert!(kills > 0, "every run was faster than its killer");
}

/// At random moments, twenty times each. `-- --nocapture` prints how many of them met a run at work.
#[test]
fn a_run_that_is_killed_and_resumed_ends_with_the_same_bits() {
    let stores =
        ["raw", "frequency-split", "error-bounded", "error-bounded+cheap"].map(|s| format!("store.default={s}"));
    let stores = stores.each_ref().map(|store| [store.as_str()]);
    let cases: Vec<&[&str]> = stores.iter().map(|store| &store[..]).chain([&RECIPE[..]]).collect();
    kill_and_compare(&cases, 20, 2);
}
