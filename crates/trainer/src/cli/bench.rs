//! `frugal bench`.

use super::device::TunedDevice;
use super::subject::Subject;
use super::{Multiplies, STORES};
use crate::bench::operators::{self, Sampling};
use crate::bench::step::{self, Settings};
use crate::bench::{page, slices};
use crate::config::parse_slices;
use crate::{Error, terminal};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand, ValueEnum};
use frugal_report::speed_page::SpeedPage;
use frugal_report::speed_page::Workload;
use frugal_tensor::codec::Slices;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What is measured.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// A training step: milliseconds, and what they go to
    #[command(after_help = STORES)]
    Step(Box<Step>),
    /// A training step in slices along the batch: peaks beside milliseconds
    #[command(after_help = STORES)]
    Slices(Box<SlicesOptions>),
    /// Operators on layers of real nets, beside what the adapter can do at all
    Ops(Operators),
    /// A page in Markdown about this machine: steps of four nets in several forms, all operators
    Page(Page),
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
    /// Also measure the step with its gradients sent through the host in the middle of it
    #[arg(long, value_name = "HOW", value_enum)]
    exchange: Option<HowToExchange>,
    /// Buckets in which gradients are exchanged
    #[arg(long, value_name = "N", default_value_t = 4, requires = "exchange")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000))]
    buckets: u64,
    #[command(flatten)]
    common: Common,
}

/// Options of `frugal bench slices`.
#[derive(Debug, Args)]
pub(super) struct SlicesOptions {
    #[command(flatten)]
    subject: Subject,
    /// Slices to measure, the first of which the others stand beside
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = parse_slices)]
    #[arg(default_value = "off,auto,least,2,4,8,16,32")]
    settings: Vec<Slices>,
    /// Steps of each that count
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    steps: u64,
    /// Steps of each before those
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    warm_up: u64,
    #[command(flatten)]
    common: Common,
}

/// What the host does with gradients in the middle of a step.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum HowToExchange {
    /// Writes them back as they are
    Loopback,
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
    /// Precision in which the step holds activations and multiplies
    #[arg(long, value_name = "P", value_enum, default_value_t)]
    precision: Multiplies,
    #[command(flatten)]
    common: Common,
}

/// Options of `frugal bench page`.
#[derive(Debug, Args)]
pub(super) struct Page {
    /// Nets to measure, for example lenet,resnet20 [default: all; on an adapter without a GPU the first two]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    #[arg(value_parser = PossibleValuesParser::new(page::WORKLOADS.map(|workload| workload.net)))]
    nets: Vec<String>,
    /// Only operators that have this text in their name, or in that of their layer
    #[arg(long, value_name = "NAME")]
    filter: Option<String>,
    /// Figures of other frameworks, lines of JSON as benches/peers/run.sh leaves them
    #[arg(long, value_name = "FILE")]
    peers: Option<PathBuf>,
    /// Adapter, by number or part of its name (see `frugal devices`)
    #[arg(long, value_name = "D")]
    device: Option<String>,
}

/// Options of both.
#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    device: TunedDevice,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(verb: &Verb) -> Result<(), Error> {
    match verb {
        Verb::Step(options) => step(options),
        Verb::Slices(options) => slices(options),
        Verb::Ops(options) => operators(options),
        Verb::Page(options) => page(options),
    }
}

fn step(options: &Step) -> Result<(), Error> {
    let began = Instant::now();
    let request = options.subject.request()?;
    let clock = Instant::now();
    let gpu = options.common.device.open(request.precision, true)?;
    let opened = clock.elapsed().as_secs_f64();
    let settings = Settings {
        warm_up: options.warm_up as usize,
        steps: options.steps as usize,
        start: options.write_start.as_deref(),
        buckets: options.exchange.map(|HowToExchange::Loopback| options.buckets as usize),
    };
    let report = step::measure(&request, &gpu, settings, began, opened)?;
    terminal::report(&report, options.common.json)
}

fn slices(options: &SlicesOptions) -> Result<(), Error> {
    let request = options.subject.request()?;
    let gpu = options.common.device.open(request.precision, true)?;
    let counts = [options.warm_up, options.steps].map(|count| count as usize);
    let report = slices::measure(&request, &gpu, &options.settings, counts)?;
    terminal::report(&report, options.common.json)
}

fn operators(options: &Operators) -> Result<(), Error> {
    let gpu = options.common.device.open(options.precision.into(), true)?;
    let sampling = Sampling { samples: options.samples as usize, ..Sampling::default() };
    let report = while_saying(|say| operators::measure(&gpu, sampling, options.filter.as_deref(), say))?;
    terminal::report(&report, options.common.json)
}

/// Every figure comes of a call of this program, see [`crate::bench::page`].
fn page(options: &Page) -> Result<(), Error> {
    let peers = options.peers.as_deref().map(page::peers).transpose()?.unwrap_or_default();
    let program = std::env::current_exe().map_err(Error::io("find the program", Path::new("frugal")))?;
    let device: Vec<&str> = options.device.iter().flat_map(|device| ["--device", device]).collect();
    let filter = options.filter.iter().flat_map(|filter| ["--filter", filter]);
    let filtered: Vec<&str> = device.iter().copied().chain(filter).collect();
    let (operators, steps) = while_saying(|say| {
        say("operators");
        let operators = page::operators(&program, &filtered)?;
        let on_gpu = operators.kernels == "gpu";
        let wanted = |index: usize, workload: &Workload| match options.nets.as_slice() {
            [] => on_gpu || index < page::SMALL,
            names => names.iter().any(|name| name == workload.net),
        };
        let workloads = page::WORKLOADS.into_iter().enumerate().filter(|(index, workload)| wanted(*index, workload));
        let steps =
            workloads.map(|(_, workload)| (workload, page::steps(&program, workload, on_gpu, &device, &mut *say)));
        let steps: Vec<_> = steps.collect();
        Ok::<_, Error>((operators, steps))
    })?;
    let nets = (!options.nets.is_empty()).then(|| format!(" --nets {}", options.nets.join(",")));
    let filter = options.filter.as_ref().map(|filter| format!(" --filter {filter}"));
    let command = ["frugal bench page".to_owned()].into_iter().chain(nets).chain(filter).collect();
    terminal::print(SpeedPage { command, operators, steps, peers })?;
    Ok(())
}

/// Does something that says what it is at, on a terminal.
fn while_saying<T>(work: impl FnOnce(&mut dyn FnMut(&str)) -> T) -> T {
    let terminal = std::io::stderr().is_terminal();
    let done = work(&mut |what| {
        if terminal {
            // Over the line before.
            terminal::replace_line(&format!("measuring {what}"));
        }
    });
    if terminal {
        terminal::replace_line("");
    }
    done
}
