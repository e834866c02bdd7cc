//! Makes hostile inputs and watches what Frugal does with them: `tools/fuzz/README.md`.
//!
//! ```text
//! watch (parent) ─▶ worker (child) ─▶ target: seeds, mutate, attempt
//!   lines, time,      writes each input      │
//!   how it ended ◀──  down, then tries it ◀──┘
//! ```

mod bytes;
mod minimise;
mod random;
mod targets;
mod tree;
mod watch;
mod worker;

use clap::Parser;
use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use targets::{ALL, Target};
use watch::Watch;

/// Tries Frugal on configs, layers and files that were changed by chance.
#[derive(Debug, Parser)]
struct Options {
    /// What to fuzz: all, or some of toml, layers, npz, safetensors, checkpoint, images, idx, cifar, classes, parquet (with the
    /// feature of that name)
    #[arg(required = true)]
    targets: Vec<String>,
    /// Changed inputs of each target, besides its regressions and its seeds
    #[arg(long, default_value_t = 10_000)]
    mutations: u64,
    /// Seconds for all targets together, which they share evenly
    #[arg(long)]
    seconds: Option<u64>,
    /// Decides all that is chosen by chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Try this file alone, and show what is answered
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Be the worker that tries the inputs from this number on
    #[arg(long, hide = true, requires = "folder")]
    from: Option<u64>,
    /// Where the worker writes them down
    #[arg(long, hide = true)]
    folder: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let Some(targets) = chosen(&options.targets) else {
        let names: Vec<&str> = ALL.iter().map(|target| target.name).collect();
        eprintln!("there are the targets all, {}", names.join(", "));
        return ExitCode::from(2);
    };
    if let Some(file) = &options.input {
        return worker::one(targets[0], file);
    }
    if let (Some(from), Some(folder)) = (options.from, &options.folder) {
        worker::many(targets[0], options.seed, from, options.mutations, folder);
        return ExitCode::SUCCESS;
    }
    let end = options.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut failures = 0;
    for (at, target) in targets.iter().enumerate() {
        let share = |end: Instant| {
            let left = end.saturating_duration_since(Instant::now());
            Instant::now() + left / (targets.len() - at) as u32
        };
        let watch = Watch::new(target, options.seed, options.mutations, end.map(share));
        failures += watch.run();
    }
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints a line; that nobody reads it any more is no reason to stop.
fn print(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn chosen(names: &[String]) -> Option<Vec<&'static Target>> {
    if names == ["all"] {
        return Some(ALL.iter().collect());
    }
    names.iter().map(|name| ALL.iter().find(|target| target.name == name)).collect()
}

/// Inputs that broke something once, by name.
fn regressions(target: &Target) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions").join(target.name);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files
}
