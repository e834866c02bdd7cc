//! `frugal resume`.

use super::device::Device;
use super::train::train;
use super::{Changes, Tensorboard, Watch, parts};
use crate::run::folder::Folder;
use crate::run::{self, Job, Left, Start, tiles};
use crate::{Error, terminal};
use clap::Args;
use std::path::PathBuf;

/// Go on with a run that was stopped, to the same bits; or with a finished one, for longer.
///
/// It goes on from the newest checkpoint. On the same adapter it ends with the same bits as a run that was never stopped.
/// A finished run goes on with more epochs (--epochs) or a longer patience (--set train.patience=N). How long it trains, how often it evaluates, what it keeps and where its data is may be changed; what would make it
/// another run is refused. Changes are kept in the folder's config.resolved.toml.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The run's folder
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
    let left = Left::read(&options.run, &options.tensorboard.overrides(&options.changes), terminal::warn)?;
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
    let plans = run::plans(&config, &data, &gpu)?;
    let adapter = &gpu.adapter().info.name;
    let (from, place) = match checkpoint {
        Some((step, checkpoint)) => {
            let made_on = &checkpoint.about.adapter;
            if made_on != adapter {
                terminal::warn(format_args!(
                    "the run began on {made_on}; on {adapter} its numbers may differ in the last places"
                ));
            }
            (Start::Checkpoint(Box::new(checkpoint)), format!("after step {}", step.step))
        }
        None => (run::anew(&config, &data, &plans)?, "from the beginning, as it has no checkpoint yet".to_owned()),
    };
    let folder = Folder::open(&options.run)?;
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
