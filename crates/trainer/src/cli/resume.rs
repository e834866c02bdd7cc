//! `frugal resume`.

use super::device::Device;
use super::train::train;
use super::{Changes, Tensorboard, Watch, parts};
use crate::run::folder::Folder;
use crate::run::{self, Job, Left, Start, tiles};
use crate::{Error, terminal};
use clap::Args;
use std::path::PathBuf;

/// Go on with a run that was stopped, to the same bits.
///
/// It goes on from the newest checkpoint. On the same adapter it ends with the same bits as a run that was never stopped.
/// How long it trains, how often it evaluates, what it keeps and where its data is may be changed; what would make it
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
    let content = data.fingerprint();
    left.check(&data, &content, terminal::warn)?;
    let Left { config, checkpoint, lock } = left;
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
    let (config, data, content, gpu) = (&config, &data, &content, &gpu);
    let view = options.watch.view();
    train(Job { plans, config, data, content, gpu, folder: &folder, lock, label: &config.name, view, from })
}
