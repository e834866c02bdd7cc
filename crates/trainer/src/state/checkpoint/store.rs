//! The checkpoints of a run: `checkpoints/step-00000120.safetensors` and `checkpoints/best.safetensors`.

use super::{Checkpoint, CheckpointError, decode};
use crate::Error;
use crate::artifacts::folder::Folder;
use crate::config;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder within a run's folder.
const FOLDER: &str = "checkpoints";
/// The checkpoint after the best evaluation.
const BEST: &str = "best.safetensors";

/// The folder of a run's checkpoints, and which of them stay.
#[derive(Debug)]
pub struct CheckpointStore {
    run: PathBuf,
    folder: Folder,
    settings: config::Checkpoint,
    steps_per_epoch: u64,
}

/// A checkpoint by its step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// Training steps done.
    pub step: u64,
    /// The file.
    pub path: PathBuf,
}

impl CheckpointStore {
    /// The shelf of a run, which may have checkpoints already.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(run: &Path, settings: &config::Checkpoint, steps_per_epoch: u64) -> Result<Self, Error> {
        let folder = Folder::open(&run.join(FOLDER))?;
        Ok(Self { run: run.to_path_buf(), folder, settings: settings.clone(), steps_per_epoch })
    }

    /// The folder of the run.
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// Whether the settings ask for a checkpoint after a step.
    pub fn is_due(&self, step: u64) -> bool {
        let settings = &self.settings;
        let every = |interval: u64| interval > 0 && step.is_multiple_of(interval);
        let epochs = |epochs: u64| every(epochs * self.steps_per_epoch);
        every(settings.every_steps) || epochs(settings.every_epochs) || self.stays(step)
    }

    /// Whether a step's checkpoint stays for good.
    fn stays(&self, step: u64) -> bool {
        let every = |interval: u64| interval > 0 && step.is_multiple_of(interval);
        every(self.settings.keep_every_steps) || every(self.settings.keep_every_epochs * self.steps_per_epoch)
    }

    /// Puts a file on the shelf, and takes away those whose time is over.
    ///
    /// # Errors
    /// [`Error::Io`]; those before it are still there.
    pub fn put(&self, step: u64, bytes: &[u8]) -> Result<(), Error> {
        self.folder.write(&format!("step-{step:08}.safetensors"), bytes)?;
        let old = steps(self.folder.path())?.into_iter().rev().skip(self.settings.keep_last.max(1) as usize);
        for Step { path, .. } in old.filter(|old| !self.stays(old.step)) {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        Ok(())
    }

    /// Whether the settings ask for the best one.
    pub fn wants_best(&self) -> bool {
        self.settings.keep_best
    }

    /// Puts the best so far on the shelf, if the settings ask for that.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn put_best(&self, bytes: &[u8]) -> Result<(), Error> {
        if self.wants_best() { self.folder.write(BEST, bytes) } else { Ok(()) }
    }
}

/// The checkpoint after the best evaluation of a run.
pub fn best(run: &Path) -> PathBuf {
    run.join(FOLDER).join(BEST)
}

/// Reads one file.
///
/// # Errors
/// [`Error::Io`], [`Error::Checkpoint`].
pub fn read(path: &Path) -> Result<Checkpoint, Error> {
    let bytes = frugal_data::input::read(path, u64::MAX).map_err(Error::io("read", path))?;
    Ok(decode(path, &bytes)?)
}

/// The newest checkpoint of a run that can be used: of a step, or else the one after the best evaluation; none if the run has
/// none. `unusable` hears of each that cannot be read, or is not whole, and why.
///
/// # Errors
/// [`CheckpointError::Newer`]; [`CheckpointError::AllDamaged`] if there are some, but none can be used.
pub fn newest(run: &Path, mut unusable: impl FnMut(&Path, &str)) -> Result<Option<(Step, Checkpoint)>, Error> {
    let folder = run.join(FOLDER);
    let steps = steps(&folder)?.into_iter().rev().map(|step| step.path);
    let best = Some(best(run)).filter(|best| best.exists());
    let mut reasons = Vec::new();
    for path in steps.chain(best) {
        match read(&path) {
            Ok(checkpoint) => return Ok(Some((Step { step: checkpoint.about.state.step, path }, checkpoint))),
            Err(error @ Error::Checkpoint(CheckpointError::Newer { .. })) => return Err(error),
            Err(error) => {
                reasons.push(error.to_string());
                unusable(&path, &error.to_string());
            }
        }
    }
    match reasons.is_empty() {
        true => Ok(None),
        false => Err(CheckpointError::AllDamaged { folder, damaged: reasons }.into()),
    }
}

/// The files by step, ascending.
fn steps(folder: &Path) -> Result<Vec<Step>, Error> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::io("list", folder))?,
    };
    let mut steps = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::io("list", folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = name.strip_prefix("step-").and_then(|name| name.strip_suffix(".safetensors"));
        if let Some(step) = number.and_then(|number| number.parse().ok()) {
            steps.push(Step { step, path });
        }
    }
    steps.sort();
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoints(root: &Path, settings: config::Checkpoint) -> CheckpointStore {
        CheckpointStore::open(root, &settings, 10).unwrap()
    }

    fn on(checkpoints: &CheckpointStore) -> Vec<u64> {
        steps(checkpoints.folder.path()).unwrap().into_iter().map(|step| step.step).collect()
    }

    #[test]
    fn the_newest_stay_and_every_nth() {
        let root = tempfile::tempdir().unwrap();
        let settings = config::Checkpoint { every_steps: 4, keep_every_epochs: 2, ..Default::default() };
        let checkpoints = checkpoints(root.path(), settings);
        for step in (1..=50).filter(|&step| checkpoints.is_due(step)) {
            checkpoints.put(step, b"x").unwrap();
        }
        // Epochs have ten steps: 20 and 40 stay for good, 48 and 50 are the newest.
        assert_eq!(on(&checkpoints), [20, 40, 48, 50]);
    }

    #[test]
    fn a_step_of_more_than_eight_digits_is_the_newest() {
        let root = tempfile::tempdir().unwrap();
        let checkpoints = checkpoints(root.path(), config::Checkpoint { keep_last: 5, ..Default::default() });
        for step in [99_999_999, 100_000_000, 7] {
            checkpoints.put(step, b"x").unwrap();
        }
        assert_eq!(on(&checkpoints), [7, 99_999_999, 100_000_000]);
    }

    #[test]
    fn nothing_is_due_where_nothing_is_asked_for() {
        let root = tempfile::tempdir().unwrap();
        let checkpoints = checkpoints(root.path(), config::Checkpoint { every_epochs: 0, ..Default::default() });
        assert!((1..100).all(|step| !checkpoints.is_due(step)));
    }
}
