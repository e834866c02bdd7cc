//! The command line: subcommands and options.

mod bench;
mod compare;
mod data;
mod device;
mod inspect;
mod manual;
mod messages;
mod parts;
mod plan;
mod predict;
mod prediction;
mod resume;
mod subject;
mod train;
mod tune;

use crate::Error;
use crate::artifacts::environment::device_report;
use crate::config::Override;
use crate::terminal::{self, Log};
use crate::training::View;
use clap::{Args, Parser, Subcommand, ValueEnum};
use device::TunedDevice;
use frugal_model::Net;
use frugal_report::devices::DeviceReport;
use frugal_tensor::ir::{KernelSet, Precision};
use frugal_tensor::runtime::{Adapter, GpuError};
use std::path::PathBuf;
use std::process::ExitCode;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Trains deep networks in a fraction of the memory, on any GPU.
#[derive(Debug, Parser)]
#[command(name = "frugal", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "\
First steps:
  frugal compare configs/quickstart.toml    train on embedded data, compare what storing less costs
  frugal plan configs/quickstart.toml       every byte of that run, without a GPU
  frugal devices                            what this machine has to train on

Exit status: 0 done, 1 the run failed, 2 the command or the config is wrong, 130 stopped by Ctrl-C.")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

/// What verbs do is said where their options are.
#[derive(Debug, Subcommand)]
enum Verb {
    Train(train::Options),
    Resume(resume::Options),
    Eval(prediction::Evaluate),
    Predict(predict::Options),
    Inspect(inspect::Options),
    Plan(plan::Options),
    Compare(compare::Options),
    /// Measure speed: a training step, or operators one by one
    #[command(subcommand)]
    Bench(bench::Verb),
    Tune(tune::Options),
    /// List the adapters of this machine
    Devices {
        /// Print JSON, with all features
        #[arg(long)]
        json: bool,
    },
    /// List data sets, or bring one to this machine
    #[command(subcommand)]
    Data(data::Verb),
    /// List the nets
    Nets,
    Completions(manual::Completions),
    Man(manual::Manual),
}

/// Options that change a config.
#[derive(Debug, Args)]
struct Changes {
    /// Change a setting of the config, for example optimizer.lr=0.1; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = Override::parse)]
    set: Vec<Override>,
    /// Seed of first weights, order of samples and rounding
    #[arg(long, value_name = "N")]
    seed: Option<u32>,
    /// How often every sample is seen
    #[arg(long, value_name = "N")]
    epochs: Option<u64>,
}

impl Changes {
    /// As overrides, in the order in which they win.
    fn overrides(&self) -> Vec<Override> {
        let mut all = self.set.clone();
        all.extend(self.seed.map(|seed| Override::option("seed", "seed", seed)));
        all.extend(self.epochs.map(|epochs| Override::option("epochs", "train.epochs", epochs)));
        all
    }
}

/// An option for event files.
#[derive(Debug, Args)]
struct Tensorboard {
    /// Write event files for TensorBoard, too
    #[arg(long)]
    tensorboard: bool,
}

impl Tensorboard {
    /// Changes of a config with this one.
    fn overrides(&self, changes: &Changes) -> Vec<Override> {
        let own = self.tensorboard.then(|| Override::option("tensorboard", "train.tensorboard", true));
        changes.overrides().into_iter().chain(own).collect()
    }
}

/// Options that say where a run happens and what it leaves.
#[derive(Debug, Args)]
struct Where {
    /// Folder for the results [default: a new one under runs/<name>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    device: TunedDevice,
}

/// Options that say what a run shows of itself.
#[derive(Debug, Args)]
struct Watch {
    /// Show curves, memory and pace on the whole terminal
    #[arg(long)]
    tui: bool,
}

impl Watch {
    fn view(&self) -> View {
        if self.tui { View::Dashboard } else { View::Lines }
    }
}

/// The families of kernels that a plan may assume.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kernels {
    /// Tiles in workgroup memory
    Gpu,
    /// Registers only, for drivers that run on CPU cores
    Cpu,
}

impl From<Kernels> for KernelSet {
    fn from(kernels: Kernels) -> Self {
        match kernels {
            Kernels::Gpu => KernelSet::Tiles,
            Kernels::Cpu => KernelSet::Registers,
        }
    }
}

/// The precisions that a step may have.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Multiplies {
    /// All of it in f32
    #[default]
    F32,
    /// Activations and their gradients, and operands of products; sums and all else in f32
    F16,
}

impl From<Multiplies> for Precision {
    fn from(multiplies: Multiplies) -> Self {
        match multiplies {
            Multiplies::F32 => Precision::F32,
            Multiplies::F16 => Precision::F16,
        }
    }
}

/// How stores are named, for the help of several verbs.
const STORES: &str = "\
Stores, with their settings: raw, f16, float8 or float8:GROUP (usual: 256),
uniform:BITS or uniform:BITS,GROUP (usual: 2,256),
frequency-split:BLOCK,BITS (usual: 8,2; 8,2,parity rounds as its authors do),
error-bounded:FRACTION of the gradient's noise (usual: 0.1) or error-bounded:comet.
auto:2GiB chooses a form for each value so that the run takes no more than that.
A suffix recomputes values in the backward pass instead of saving them: +cheap by element-wise
operators, +segments by running parts of the net again. docs/stores.md says what each promises.";

/// Runs the program; standard output that was closed when it began cannot be written to.
pub fn main(output_is_closed: bool) -> ExitCode {
    if output_is_closed {
        terminal::close_output();
    }
    messages::set_up();
    let named = std::env::var("RUST_LOG").ok().and_then(|directives| directives.parse::<Targets>().ok());
    let filter = named.unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN));
    let lines = tracing_subscriber::fmt::layer().with_writer(|| Log).with_ansi(false).without_time();
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
    let outcome = match messages::parse() {
        Ok(cli) => run(cli.verb),
        Err(code) => return code.into(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => messages::fail(error).into(),
    }
}

fn run(verb: Verb) -> Result<(), Error> {
    match verb {
        Verb::Train(options) => train::run(&options),
        Verb::Resume(options) => resume::run(&options),
        Verb::Eval(options) => prediction::evaluate(&options),
        Verb::Predict(options) => predict::run(&options),
        Verb::Inspect(options) => inspect::run(&options),
        Verb::Plan(options) => plan::run(&options),
        Verb::Compare(options) => compare::run(&options),
        Verb::Bench(verb) => bench::run(&verb),
        Verb::Tune(options) => tune::run(&options),
        Verb::Devices { json } => devices(json),
        Verb::Data(verb) => data::run(&verb),
        Verb::Nets => nets(),
        Verb::Completions(options) => manual::completions(&options),
        Verb::Man(options) => manual::manual(&options),
    }
}

fn devices(json: bool) -> Result<(), Error> {
    let adapters = Adapter::all();
    let reports: Vec<DeviceReport> =
        adapters.iter().enumerate().map(|(index, adapter)| device_report(index, adapter)).collect();
    if json {
        terminal::print_json(&reports)?;
    }
    if reports.is_empty() {
        return Err(GpuError::NoAdapter.into());
    }
    if !json {
        let texts: Vec<String> = reports.iter().map(DeviceReport::to_string).collect();
        terminal::print(texts.join("\n\n"))?;
    }
    Ok(())
}

fn nets() -> Result<(), Error> {
    for net in Net::all() {
        terminal::print(format_args!("{:20} {}", net.name, net.about))?;
    }
    Ok(())
}
