//! The process that tries inputs, one after the other. It may crash, hang or run out of memory: nothing is lost, since each input
//! is written down before it is tried, and the file that is written is the file that is tried.
//!
//! Inputs that are answered with words not heard before become seeds as well: a poor man's coverage.

use crate::random::Random;
use crate::targets::Target;
use crate::{print, regressions};
use frugal_trainer::Error;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// Bytes that a worker may map. What asks for more is refused by the system, and Rust aborts.
pub const MOST_MEMORY: u64 = 2 << 30;
/// The most inputs that others are made of, and their most bytes.
const POOL: usize = 300;
const MOST_BYTES: usize = 64 << 10;

/// Tries the inputs of a target from one number on, and prints a line for each: `accepted` or `refused`, and microseconds.
pub fn many(target: &Target, seed: u64, from: u64, mutations: u64, folder: &Path) {
    limit();
    let path = folder.join(target.file);
    let kept: Vec<Vec<u8>> = regressions(target).iter().map(|file| fs::read(file).expect("a regression")).collect();
    let seeds = (target.seeds)();
    let mut pool = seeds.clone();
    let mut heard = BTreeSet::new();
    let given = (kept.len() + seeds.len()) as u64;
    for number in from..given + mutations {
        let at = number as usize;
        let input = match (kept.get(at), seeds.get(at.wrapping_sub(kept.len()))) {
            (Some(input), _) | (_, Some(input)) => input.clone(),
            _ => {
                let mut random = Random::new(seed, target.name, number - given);
                // Of a bad input mostly others as bad are made.
                let most = if random.once_in(3) { pool.len() } else { seeds.len() };
                let (input, donor) = (random.below(most), random.below(pool.len()));
                (target.mutate)(&pool[input], &pool[donor], &mut random)
            }
        };
        fs::write(&path, &input).expect("the fuzzer's own folder");
        let begin = Instant::now();
        let outcome = (target.attempt)(&path);
        let (answer, shown) = match &outcome {
            Ok(()) => ("accepted", String::new()),
            Err(error) => ("refused", error.to_string()),
        };
        if let Err(error) = outcome {
            show(error);
        }
        say(&format!("{answer} {}", begin.elapsed().as_micros()));
        if (kept.len() as u64..given).contains(&number) && !shown.is_empty() {
            say(&format!("seed {}: {}", at - kept.len(), shown.replace('\n', " ")));
        }
        if pool.len() < POOL && input.len() <= MOST_BYTES && number >= given && heard.insert(words(&shown)) {
            pool.push(input);
        }
    }
    if let Some(peak) = peak() {
        say(&format!("peak {peak}"));
    }
}

/// Tries one file, as a worker does, and shows what is answered.
pub fn one(target: &Target, file: &Path) -> ExitCode {
    limit();
    let folder = tempfile::tempdir().expect("a folder for a file");
    let path = folder.path().join(target.file);
    fs::copy(file, &path).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    match (target.attempt)(&path) {
        Ok(()) => print("accepted"),
        Err(error) => print(format_args!("refused: {}", show(error))),
    }
    ExitCode::SUCCESS
}

/// An error as the program shows it, with the place in the config.
fn show(error: Error) -> String {
    format!("{:?}", miette::Report::new(error))
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("the parent listens");
}

/// A message without what it quotes and counts.
fn words(message: &str) -> String {
    let unquoted: String = message.split(['`', '"', '\'']).step_by(2).collect();
    unquoted.chars().filter(|c| c.is_ascii_alphabetic()).take(200).collect()
}

#[cfg(unix)]
fn limit() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit = |resource, most: u64| {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) }).expect("a lower limit may be set");
    };
    limit(Resource::As, MOST_MEMORY);
    limit(Resource::Core, 0);
}

/// Elsewhere only panics, aborts and time are watched.
#[cfg(not(unix))]
fn limit() {}

/// The most KiB that were ever in memory, where the system says it.
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}
