//! `frugal train`.

use super::{Changes, Tensorboard, Watch, Where, parts};
use crate::artifacts::folder::Folder;
use crate::config::Config;
use crate::planning;
use crate::state::Lock;
use crate::terminal::interrupt;
use crate::training;
use crate::training::Job;
use crate::{Error, terminal};
use clap::Args;
use frugal_report::bytes;
use frugal_report::records::{Classification, Evaluation, Regression, Summary};
use std::path::PathBuf;

/// Train a net as a config says, into a run folder.
///
/// The folder gets the config as given and as resolved, the environment, metrics per step and epoch, checkpoints, a summary
/// and the weights as safetensors. Ctrl-C writes a checkpoint and stops; `frugal resume` goes on.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The config, a TOML file
    config: PathBuf,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    tensorboard: Tensorboard,
    #[command(flatten)]
    watch: Watch,
    #[command(flatten)]
    place: Where,
}

pub(super) fn run(options: &Options) -> Result<(), Error> {
    let overrides = options.tensorboard.overrides(&options.changes);
    let (config, text) = Config::load(&options.config, &overrides)?;
    let data = config.data.open()?;
    parts::say_of_training(&config, &data)?;
    let gpu = options.place.device.open(config.train.precision, config.train.tuned)?;
    let plans = planning::plans(&config, &data, &gpu)?;
    for warning in plans.warnings() {
        terminal::warn(warning);
    }
    if let Some(chosen) = &plans.chosen {
        terminal::say(chosen);
    }
    let (content, from) = (data.fingerprint(), training::anew(&config, &data, &plans)?);
    training::remarks(&config, &data, &plans, &from).iter().for_each(terminal::warn);
    let folder = Folder::create(options.place.out.as_deref(), &config.name, &config.seed.to_string())?;
    let lock = Lock::take(folder.path())?;
    folder.write("config.toml", text.as_bytes())?;
    terminal::say(format_args!("{} on {}, into {}", config.name, gpu.adapter().info.name, folder.path().display()));
    let (config, data, content, gpu) = (&config, &data, &content, &gpu);
    let view = options.watch.view();
    train(Job { plans, config, data, content, gpu, folder: &folder, lock, label: &config.name, view, from })
}

/// Trains and prints what came out.
pub(super) fn train(job: Job<'_>) -> Result<(), Error> {
    interrupt::watch();
    let folder = job.folder;
    let summary = training::train(job)?;
    terminal::print(describe(&summary))?;
    terminal::print(format_args!("results         {}", folder.path().display()))?;
    Ok(())
}

fn describe(summary: &Summary) -> String {
    let planned = &summary.bytes.planned;
    let validation = match (summary.validation_accuracy, summary.validation_loss) {
        (Some(share), _) => format!("validation      {:.2} %\n", 100.0 * share),
        (None, Some(loss)) => format!("validation loss {loss:.5}\n"),
        (None, None) => String::new(),
    };
    let psnr = summary.test_psnr.map_or(String::new(), |psnr| format!(", PSNR {psnr:.2} dB"));
    let of_all = match &summary.evaluation {
        Some(Evaluation::Classes(Classification { auc: Some(auc), .. })) => format!(", AUC {:.2} %", 100.0 * auc),
        Some(Evaluation::Values(Regression { r_squared: Some(share), mean_absolute_error: error, target, .. })) => {
            format!(", R² {share:.4}, mean absolute error {error:.4} in the unit of `{target}`")
        }
        _ => String::new(),
    };
    let test = match summary.test_accuracy {
        Some(share) => format!("test accuracy   {:.2} %{of_all}", 100.0 * share),
        None => format!("test loss       {:.5}{psnr}{of_all}", summary.test_loss),
    };
    let discarded = summary.coded.as_ref().map(|coded| coded.discarded).filter(|discarded| discarded.steps > 0);
    let again = discarded.map_or(String::new(), |discarded| {
        let share = 100.0 * discarded.steps as f64 / summary.steps.max(1) as f64;
        format!("\nrepeated        {} of {} steps ({share:.1} %), after overflows", discarded.steps, summary.steps)
    });
    format!(
        "{validation}{test}\n\
         train loss      {:.4} ({})\n\
         time            {:.1} s, {:.2} ms per step, {:.2} of them waiting for data{again}\n\
         memory          {} at the peak, {} of it kept for the backward pass ({})",
        summary.train_loss,
        summary.loss,
        summary.seconds,
        1e3 * summary.seconds_per_step,
        summary.data_wait_ms,
        bytes(planned.peak),
        bytes(planned.kept),
        summary.store,
    )
}
