//! `frugal bench`.

use super::subject::Subject;
use super::{Multiplies, STORES, open, print, print_json};
use crate::Error;
use crate::bench::operators::{self, Sampling};
use crate::bench::step::{self, Settings};
use clap::{Args, Subcommand};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Instant;

/// What is measured.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// A training step: milliseconds, and what they go to
    #[command(after_help = STORES)]
    Step(Step),
    /// Operators on layers of real nets, beside what the adapter can do at all
    Ops(Operators),
}

/// Options of `frugal bench step`.
#[derive(Debug, Args)]
pub(super) struct Step {
    #[command(flatten)]
    subject: Subject,
    /// Steps that count
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    steps: u64,
    /// Steps before those, the first included
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    warm_up: u64,
    /// Write the weights and the batch that the steps start from, as safetensors
    #[arg(long, value_name = "FILE")]
    write_start: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// Options of `frugal bench ops`.
#[derive(Debug, Args)]
pub(super) struct Operators {
    /// Only operators that have this text in their name, or in that of their layer
    #[arg(long, value_name = "NAME")]
    filter: Option<String>,
    /// Samples of each, of which the median is shown
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=1000))]
    samples: u64,
    /// Precision in which products multiply
    #[arg(long, value_name = "P", value_enum, default_value_t)]
    precision: Multiplies,
    #[command(flatten)]
    common: Common,
}

/// Options of both.
#[derive(Debug, Args)]
struct Common {
    /// Adapter, by number or part of its name (see `frugal devices`)
    #[arg(long, value_name = "D")]
    device: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(verb: &Verb) -> Result<(), Error> {
    match verb {
        Verb::Step(options) => step(options),
        Verb::Ops(options) => operators(options),
    }
}

fn step(options: &Step) -> Result<(), Error> {
    let began = Instant::now();
    let request = options.subject.request()?;
    let clock = Instant::now();
    let gpu = open(request.precision, options.common.device.as_deref())?;
    let opened = clock.elapsed().as_secs_f64();
    let settings = Settings {
        warm_up: options.warm_up as usize,
        steps: options.steps as usize,
        start: options.write_start.as_deref(),
    };
    let report = step::measure(&request, &gpu, settings, began, opened)?;
    if options.common.json {
        print_json(&report)
    } else {
        print(report)
    }
    Ok(())
}

fn operators(options: &Operators) -> Result<(), Error> {
    let gpu = open(options.precision.into(), options.common.device.as_deref())?;
    let sampling = Sampling { samples: options.samples as usize, ..Sampling::default() };
    let terminal = std::io::stderr().is_terminal();
    let say = |what: &str| {
        if terminal {
            // Over the line before.
            eprint!("\r\x1b[2Kmeasuring {what}");
        }
    };
    let report = operators::measure(&gpu, sampling, options.filter.as_deref(), say);
    if terminal {
        eprint!("\r\x1b[2K");
    }
    let report = report?;
    if options.common.json {
        print_json(&report)
    } else {
        print(report)
    }
    Ok(())
}
