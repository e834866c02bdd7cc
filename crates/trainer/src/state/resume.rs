//! A run that was stopped, or is to become longer: what its folder says, and where to go on.
//!
//! A finished run has a summary and weights. Before a longer one goes on in its folder, both get names with their step, so that
//! nobody takes them for the longer one's: first the settings are written, then the summary is renamed, then the weights. Whatever
//! comes between, what is left says what to do.

use crate::Error;
use crate::artifacts::DataFacts;
use crate::artifacts::comparison::{self, is_comparison};
use crate::artifacts::folder::Folder;
use crate::artifacts::{CONFIG, DATA, SUMMARY};
use crate::config::{Config, Override, Table};
use crate::planning::Loaders;
use crate::state::Lock;
use crate::state::checkpoint::{self, Checkpoint, CheckpointError, Step};
use crate::state::weights;
use frugal_data::{Dataset, Fingerprint};
use frugal_report::records::Summary;
use std::path::{Path, PathBuf};

/// What a run left that was stopped, or finished.
#[derive(Debug)]
pub struct Left {
    /// Its settings as they are to be.
    pub config: Config,
    folder: PathBuf,
    /// Its settings as its folder has them.
    before: Config,
    /// What came out, if it is finished.
    pub summary: Option<Summary>,
    /// The newest checkpoint that is whole; none if there is none yet.
    pub checkpoint: Option<(Step, Checkpoint)>,
    /// Nobody else works on it.
    pub lock: Lock,
}

/// The settings of a run, as its folder has them, with these changes. Relative paths in changes start at the current folder.
///
/// # Errors
/// [`Error::NotARun`], [`Error::AComparison`], [`Error::Config`].
pub fn resolved(folder: &Path, changes: &[Override]) -> Result<Config, Error> {
    if is_comparison(folder) {
        return Err(Error::AComparison(folder.to_path_buf()));
    }
    settings(folder, changes)
}

/// The same of a run or a comparison.
///
/// # Errors
/// [`Error::NotARun`], [`Error::Config`].
pub fn settings(folder: &Path, changes: &[Override]) -> Result<Config, Error> {
    let path = folder.join(CONFIG);
    if !path.exists() {
        return Err(Error::NotARun { folder: folder.to_path_buf(), missing: CONFIG });
    }
    Ok(Config::load_at(&path, Path::new(""), changes)?.0)
}

/// What a run came to; none if it is not finished.
///
/// # Errors
/// [`Error::Io`], also if the file is damaged.
pub fn summary(folder: &Path) -> Result<Option<Summary>, Error> {
    comparison::read(&folder.join(SUMMARY))
}

impl Left {
    /// Reads a run's folder, and makes changes to its settings. `warn` hears of checkpoints that cannot be used: each is put
    /// aside, and the one before it serves.
    ///
    /// # Errors
    /// [`Error::NotARun`]; [`Error::Config`]; [`Error::RunInUse`]; [`Error::Checkpoint`] if no checkpoint can be used, or the newest
    /// is of a later version.
    pub fn read(folder: &Path, changes: &[Override], warn: impl FnMut(String)) -> Result<Self, Error> {
        Self::with(folder, resolved(folder, changes)?, warn)
    }

    /// As [`Left::read`], with these settings.
    ///
    /// # Errors
    /// As [`Left::read`].
    pub fn with(folder: &Path, config: Config, mut warn: impl FnMut(String)) -> Result<Self, Error> {
        let before = resolved(folder, &[])?;
        let lock = Lock::take(folder)?;
        let summary = summary(folder)?;
        let mut aside = Vec::new();
        let checkpoint = checkpoint::newest(folder, |path, reason| {
            warn(format!("{reason}; the one before it is tried"));
            aside.push(path.to_path_buf());
        })?;
        if let Some((step, _)) = checkpoint.as_ref().filter(|(step, _)| step.path == checkpoint::best(folder)) {
            warn(format!("the checkpoint after the best evaluation serves, of step {}", step.step));
        }
        aside.iter().try_for_each(|path| put_aside(path))?;
        Ok(Self { config, folder: folder.to_path_buf(), before, summary, checkpoint, lock })
    }

    /// Whether there is anything left to do: the run is not finished, or its settings ask for more than it came to.
    ///
    /// # Errors
    /// [`Error::Data`].
    pub fn has_more(&self, data: &Dataset) -> Result<bool, Error> {
        let Some(summary) = &self.summary else { return Ok(true) };
        let train = &self.config.train;
        let steps = train.epochs * Loaders::new(&self.config, data)?.train.batches() as u64;
        let since_best =
            summary.since_best.unwrap_or(if summary.stopped_early { self.before.train.patience } else { 0 });
        Ok(summary.steps < steps && (train.patience == 0 || since_best < train.patience))
    }

    /// Whether the run that goes on from the checkpoint is still the same run: the data has the same content, wherever it is, and
    /// settings that change its course are as they were. How long a run is and what it keeps may change; so may the place of its
    /// data and the threads that load them. `content` is that of the data; `warn` hears of what cannot be known.
    ///
    /// # Errors
    /// [`CheckpointError::OtherData`], [`CheckpointError::OtherSettings`].
    pub fn check(&self, data: &Dataset, content: &Fingerprint, warn: impl Fn(String)) -> Result<(), Error> {
        let config = &self.config;
        let Some((step, checkpoint)) = &self.checkpoint else {
            // One that has not come to anything yet begins anew.
            return if self.summary.is_some() { check_settings(&self.folder, config, content) } else { Ok(()) };
        };
        let about = &checkpoint.about;
        let other = |difference: String| Err(CheckpointError::OtherData { difference }.into());
        if let Some(difference) = about.data.as_ref().and_then(|then| then.difference(content)) {
            return other(difference);
        }
        if about.image != data.shape {
            return other(format!("its image was {:?} and is {:?}", about.image, data.shape));
        }
        if about.classes != data.classes {
            return other(format!("it had {} classes and has {}", about.classes, data.classes));
        }
        if about.data.is_none() {
            warn(format!(
                "the checkpoint is of an older version, which did not write down the content of the data: whether {} is still \
                 the same cannot be told",
                data.name
            ));
        }
        let made = Config::parse(&step.path.display().to_string(), &about.config, Path::new(""), &[])?;
        // Of another net its tensors say it more clearly.
        if about.net == config.model.name() {
            same_settings(&step.path, &made, config)?;
        }
        let batches = Loaders::new(config, data)?.train.batches() as u64;
        Ok(checkpoint.check_position(batches, made.train.epochs * batches)?)
    }
}

/// The same of a run's folder alone: its settings and its data are these, as far as it knows.
///
/// # Errors
/// As [`Left::check`]; [`Error::NotARun`], [`Error::Config`], [`Error::Io`].
pub fn check_settings(folder: &Path, config: &Config, content: &Fingerprint) -> Result<(), Error> {
    let facts: Option<DataFacts> = comparison::read(&folder.join(DATA))?;
    let then = facts.and_then(|facts| facts.content);
    if let Some(difference) = then.and_then(|then| then.difference(content)) {
        return Err(CheckpointError::OtherData { difference }.into());
    }
    same_settings(&folder.join(CONFIG), &settings(folder, &[])?, config)
}

fn same_settings(path: &Path, made: &Config, config: &Config) -> Result<(), Error> {
    let differences = differences(made, config).join(", ");
    match differences.is_empty() {
        true => Ok(()),
        false => Err(CheckpointError::OtherSettings { path: path.to_path_buf(), differences }.into()),
    }
}

/// Gives what a finished run left names with its step, before another one goes on in its folder. See the head of this file.
pub(crate) fn keep_results(folder: &Folder) -> Result<(), Error> {
    let names = |step: u64| (format!("summary-step-{step:08}.json"), format!("weights-step-{step:08}.safetensors"));
    let finished = summary(folder.path())?.map(|summary| summary.steps);
    if let Some(step) = finished {
        folder.rename(SUMMARY, &names(step).0)?;
    }
    if !folder.path().join(weights::FILE).exists() {
        return Ok(());
    }
    // Those of a summary that was renamed already.
    let alone = |step: &u64| !folder.path().join(names(*step).1).exists();
    match finished.map_or_else(|| last_kept(folder.path()), |step| Ok(Some(step)))?.filter(alone) {
        Some(step) => folder.rename(weights::FILE, &names(step).1),
        // Without a summary they are half of what a run comes to; it will write them again.
        None => {
            let path = folder.path().join(weights::FILE);
            std::fs::remove_file(&path).map_err(Error::io("remove", &path))
        }
    }
}

/// The last step of which a summary was kept.
fn last_kept(folder: &Path) -> Result<Option<u64>, Error> {
    let mut last = None;
    for entry in std::fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let name = entry.map_err(Error::io("list", folder))?.file_name();
        let name = name.to_string_lossy();
        let number = name.strip_prefix("summary-step-").and_then(|name| name.strip_suffix(".json"));
        last = last.max(number.and_then(|number| number.parse().ok()));
    }
    Ok(last)
}

/// Moves a file away that does not serve, or what is in its place.
fn put_aside(path: &Path) -> Result<(), Error> {
    let name = |number: u32| {
        let mut name: PathBuf = path.to_path_buf();
        name.as_mut_os_string().push(if number == 1 { ".damaged".to_owned() } else { format!(".damaged-{number}") });
        name
    };
    let free = (1..).map(name).find(|name| name.symlink_metadata().is_err());
    let free = free.expect("a folder has fewer files than numbers");
    std::fs::rename(path, free).map_err(Error::io("rename", path))
}

/// The settings that make a run another run, of those that differ.
fn differences(made: &Config, config: &Config) -> Vec<&'static str> {
    let mut differences = Vec::new();
    let mut compare = |name: &'static str, same: bool| {
        if !same {
            differences.push(name);
        }
    };
    compare("seed", made.seed == config.seed);
    compare("data.size, data.grey or data.orientation", made.data.frame == config.data.frame);
    compare("data.mean or data.std", made.data.normalisation == config.data.normalisation);
    // Where rows are held changes nothing.
    let table = |config: &Config| Table { memory: None, ..config.data.table.clone() };
    compare("data.target or another setting of the table", table(made) == table(config));
    compare("data.batch", made.data.batch == config.data.batch);
    compare("data.validation", made.data.validation == config.data.validation);
    compare("data.noise", made.data.noise == config.data.noise);
    compare("data.augment", made.data.augment == config.data.augment);
    compare("model.layers", made.model.design == config.model.design);
    let rows = |config: &Config| (config.model.hidden.clone(), config.model.dropout, config.model.embedding);
    compare("model.hidden, model.dropout or model.embedding", rows(made) == rows(config));
    compare("loss", made.loss == config.loss);
    compare("optimizer.state", made.optimizer.state == config.optimizer.state);
    compare("optimizer", made.optimizer.rule == config.optimizer.rule);
    compare("schedule", made.schedule == config.schedule);
    compare("train.accumulate", made.train.accumulate == config.train.accumulate);
    compare("train.clip_norm", made.train.clip_norm == config.train.clip_norm);
    compare("train.precision", made.train.precision == config.train.precision);
    compare("train.loss_scale", made.train.loss_scale == config.train.loss_scale);
    compare("train.ema", made.train.ema == config.train.ema);
    compare("store", made.store == config.store);
    differences
}
