//! `frugal resume`.

use super::Watch;
use super::device::Device;
use super::train::train;
use crate::run::folder::Folder;
use crate::run::{self, Job, Left, tiles};
use crate::{Error, terminal};
use clap::Args;
use std::path::PathBuf;

/// Go on with a run that was stopped, to the same bits.
///
/// It goes on from the newest checkpoint. On the same adapter it ends with the same bits as a run that was never stopped.
/// Of the settings in the folder's config.resolved.toml, how long it trains, how often it evaluates and what it keeps may
/// be changed before.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The run's folder
    run: PathBuf,
    #[command(flatten)]
    watch: Watch,
    #[command(flatten)]
    device: Device,
}

pub(super) fn run(options: &Options) -> Result<(), Error> {
    let Left { config, checkpoint, lock } = Left::read(&options.run, terminal::warn)?;
    let data = config.data.open()?;
    let gpu = options.device.open(config.train.precision)?;
    if let Some(line) = tiles::of_run(&options.run, &gpu)? {
        terminal::say(&line);
    }
    let plans = run::plans(&config, &data, &gpu)?;
    let folder = Folder::open(&options.run)?;
    let adapter = &gpu.adapter().info.name;
    let place = match &checkpoint {
        Some((step, checkpoint)) => {
            let made_on = &checkpoint.about.adapter;
            if made_on != adapter {
                terminal::warn(format_args!(
                    "the run began on {made_on}; on {adapter} its numbers may differ in the last places"
                ));
            }
            format!("after step {}", step.step)
        }
        None => "from the beginning, as it has no checkpoint yet".to_owned(),
    };
    terminal::say(format_args!("{} on {adapter}, {place}, in {}", config.name, folder.path().display()));
    let (config, data, gpu, from) = (&config, &data, &gpu, checkpoint.map(|(_, checkpoint)| checkpoint));
    let view = options.watch.view();
    train(Job { plans, config, data, gpu, folder: &folder, lock, label: &config.name, view, from })
}
