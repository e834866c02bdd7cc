//! A run that was stopped: what its folder says, and where to go on.

use super::Lock;
use crate::Error;
use crate::checkpoint::{self, Checkpoint, CheckpointError, Step};
use crate::config::Config;
use std::path::Path;

/// The settings of a run; with it a folder is that of a run.
pub const CONFIG: &str = "config.resolved.toml";
/// What came out; with it a run is finished.
pub const SUMMARY: &str = "summary.json";

/// What a run left that was stopped.
#[derive(Debug)]
pub struct Left {
    /// Its settings.
    pub config: Config,
    /// The newest checkpoint that is whole; none if there is none yet.
    pub checkpoint: Option<(Step, Checkpoint)>,
    /// Nobody else works on it.
    pub lock: Lock,
}

/// The settings of a run, as its folder has them.
///
/// # Errors
/// [`Error::NotARun`], [`Error::Config`].
pub fn resolved(folder: &Path) -> Result<Config, Error> {
    let path = folder.join(CONFIG);
    if !path.exists() {
        return Err(Error::NotARun { folder: folder.to_path_buf(), missing: CONFIG });
    }
    Ok(Config::load(&path, &[])?.0)
}

impl Left {
    /// Reads a run's folder. `warn` hears of checkpoints that are damaged: each is put aside, and the one before it serves.
    ///
    /// # Errors
    /// [`Error::NotARun`]; [`Error::RunInUse`]; [`Error::RunFinished`]; [`Error::Checkpoint`] if no checkpoint is whole, or the newest is of a
    /// later version or of other settings.
    pub fn read(folder: &Path, mut warn: impl FnMut(String)) -> Result<Self, Error> {
        let config = resolved(folder)?;
        let lock = Lock::take(folder)?;
        if folder.join(SUMMARY).exists() {
            return Err(Error::RunFinished(folder.to_path_buf()));
        }
        let mut aside = Vec::new();
        let checkpoint = checkpoint::newest(folder, |step, reason| {
            warn(format!("{reason}; going on from the one before it"));
            aside.push(step.path.clone());
        })?;
        if let Some((step, checkpoint)) = &checkpoint {
            check(&config, step, checkpoint)?;
        }
        for path in aside {
            let mut damaged = path.clone();
            damaged.as_mut_os_string().push(".damaged");
            std::fs::rename(&path, &damaged).map_err(Error::io("rename", &path))?;
        }
        Ok(Self { config, checkpoint, lock })
    }
}

/// Whether the settings are still those of the checkpoint. How long a run is and what it keeps may change; so may the
/// place of its data and the threads that load them.
fn check(config: &Config, step: &Step, checkpoint: &Checkpoint) -> Result<(), Error> {
    let about = &checkpoint.about;
    if about.net != config.model.name() {
        // Its tensors say it more clearly.
        return Ok(());
    }
    let made = Config::parse(&step.path.display().to_string(), &about.config, Path::new(""), &[])?;
    let mut differences = Vec::new();
    let mut compare = |name: &str, same: bool| {
        if !same {
            differences.push(name.to_owned());
        }
    };
    compare("seed", made.seed == config.seed);
    compare("data.set", made.data.set == config.data.set);
    compare("data.size or data.grey", made.data.frame == config.data.frame);
    compare("data.mean or data.std", made.data.normalisation == config.data.normalisation);
    compare("data.batch", made.data.batch == config.data.batch);
    compare("data.validation", made.data.validation == config.data.validation);
    compare("data.noise", made.data.noise == config.data.noise);
    compare("data.augment", made.data.augment == config.data.augment);
    compare("model.layers", made.model.design == config.model.design);
    compare("loss", made.loss == config.loss);
    compare("optimizer", made.optimizer == config.optimizer);
    compare("schedule", made.schedule == config.schedule);
    compare("train.accumulate", made.train.accumulate == config.train.accumulate);
    compare("train.clip_norm", made.train.clip_norm == config.train.clip_norm);
    compare("train.precision", made.train.precision == config.train.precision);
    compare("train.loss_scale", made.train.loss_scale == config.train.loss_scale);
    compare("train.ema", made.train.ema == config.train.ema);
    compare("store", made.store == config.store);
    match differences.is_empty() {
        true => Ok(()),
        false => {
            let differences = differences.join(", ");
            Err(CheckpointError::OtherSettings { path: step.path.clone(), differences }.into())
        }
    }
}
