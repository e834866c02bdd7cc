//! `frugal resume`.

use super::compare;
use super::device::Device;
use super::train::train;
use super::{Changes, Tensorboard, Watch, parts};
use crate::artifacts::comparison::is_comparison;
use crate::artifacts::folder::Folder;
use crate::artifacts::tiles;
use crate::config::Config;
use crate::planning;
use crate::planning::Plans;
use crate::state::Left;
use crate::state::checkpoint::{Checkpoint, Step};
use crate::training;
use crate::training::Job;
use crate::training::Start;
use crate::training::View;
use crate::{Error, terminal};
use clap::Args;
use frugal_data::Dataset;
use frugal_tensor::Gpu;
use std::path::PathBuf;

/// Go on with a run or a comparison that was stopped, or make a finished one longer.
///
/// It goes on from the newest checkpoint. On the same adapter it ends with the same bits as a run that was never stopped.
/// A finished run goes on with more epochs (--epochs) or a longer patience (--set train.patience=N). How long it trains, how
/// often it evaluates, what it keeps and where its data is may be changed; what would make it
/// another run is refused. Changes are kept in the folder's config.resolved.toml.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The folder of the run or the comparison
    run: PathBuf,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    tensorboard: Tensorboard,
    #[command(flatten)]
    watch: Watch,
    #[command(flatten)]
    device: Device,
}

pub(super) fn run(options: &Options) -> Result<(), Error> {
    let changes = options.tensorboard.overrides(&options.changes);
    if is_comparison(&options.run) {
        if options.watch.view() != View::Lines {
            return Err(Error::Usage("--tui shows one run; that is a comparison of several".to_owned()));
        }
        return compare::resume(&options.run, &changes, &options.device);
    }
    let left = Left::read(&options.run, &changes, terminal::warn)?;
    let data = left.config.data.open()?;
    if !left.has_more(&data)? {
        return Err(Error::RunFinished(options.run.clone()));
    }
    let content = data.fingerprint();
    left.check(&data, &content, terminal::warn)?;
    let Left { config, summary, checkpoint, lock, .. } = left;
    parts::say_of_training(&config, &data)?;
    let gpu = options.device.open(config.train.precision)?;
    if let Some(line) = tiles::of_run(&options.run, &gpu)? {
        terminal::say(&line);
    }
    let plans = planning::plans(&config, &data, &gpu)?;
    let (from, place) = start(checkpoint, &config, &data, &plans, &gpu)?;
    let folder = Folder::open(&options.run)?;
    let adapter = &gpu.adapter().info.name;
    terminal::say(format_args!("{} on {adapter}, {place}, in {}", config.name, folder.path().display()));
    if let Some(summary) = summary {
        terminal::say(format_args!(
            "its results after step {0} are kept as summary-step-{0:08}.json and weights-step-{0:08}.safetensors",
            summary.steps
        ));
    }
    let (config, data, content, gpu) = (&config, &data, &content, &gpu);
    let view = options.watch.view();
    train(Job { plans, config, data, content, gpu, folder: &folder, lock, label: &config.name, view, from })
}

/// Where a run that has begun goes on, and how to say that.
pub(super) fn start(
    checkpoint: Option<(Step, Checkpoint)>,
    config: &Config,
    data: &Dataset,
    plans: &Plans,
    gpu: &Gpu,
) -> Result<(Start, String), Error> {
    let Some((step, checkpoint)) = checkpoint else {
        let place = "from the beginning, as it has no checkpoint yet".to_owned();
        return Ok((training::anew(config, data, plans)?, place));
    };
    let (adapter, made_on) = (&gpu.adapter().info.name, &checkpoint.about.adapter);
    if made_on != adapter {
        terminal::warn(format_args!(
            "the run began on {made_on}; on {adapter} its numbers may differ in the last places"
        ));
    }
    Ok((Start::Checkpoint(Box::new(checkpoint)), format!("after step {}", step.step)))
}
