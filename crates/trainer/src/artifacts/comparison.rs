//! The folder of a comparison: a folder for each run, and what tells it from the folder of a run.

use crate::Error;
use crate::artifacts::CONFIG;
use crate::artifacts::DATA;
use crate::artifacts::folder::Folder;
use crate::artifacts::metrics;
use frugal_report::records::Divergence;
use frugal_report::records::Environment;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// With this file a folder is that of a comparison.
pub const FILE: &str = "comparison.json";
/// How a run ended whose loss was no longer a number; with this file it is not run again.
const DIVERGED: &str = "diverged.json";

/// What a comparison says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mark {
    /// Whether all is there that it leaves.
    pub finished: bool,
    /// What it began on.
    pub environment: Environment,
}

impl Mark {
    /// Of a folder; none if it has none, as those of older versions.
    ///
    /// # Errors
    /// [`Error::Io`], also if it is damaged.
    pub fn read(folder: &Path) -> Result<Option<Self>, Error> {
        read(&folder.join(FILE))
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, folder: &Folder) -> Result<(), Error> {
        folder.write_json(FILE, self)
    }
}

/// Whether a folder is that of a comparison. Those of older versions have no mark: they hold the folders of runs, or settings
/// without anything that a run leaves beside its own.
pub fn is_comparison(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).exists();
    let runs = || {
        std::fs::read_dir(folder)
            .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| entry.path().join(CONFIG).exists())))
    };
    let of_a_run = || [DATA, metrics::LINES, "checkpoints"].into_iter().any(has);
    has(FILE) || has(CONFIG) && (!of_a_run() || runs())
}

/// How the run in a folder diverged, if it did.
///
/// # Errors
/// [`Error::Io`], also if the file is damaged.
pub fn divergence(run: &Path) -> Result<Option<Divergence>, Error> {
    read(&run.join(DIVERGED))
}

/// Writes down how a run diverged.
///
/// # Errors
/// [`Error::Io`].
pub fn write_divergence(run: &Folder, divergence: &Divergence) -> Result<(), Error> {
    run.write_json(DIVERGED, divergence)
}

/// A JSON file; none if it is not there.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let text = frugal_data::input::read(path, u64::MAX).map_err(Error::io("read", path))?;
    serde_json::from_slice(&text).map(Some).map_err(|error| Error::io("read", path)(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn folders_of_comparisons_are_told_from_those_of_runs() {
        let root = tempfile::tempdir().unwrap();
        let folder = |name: &str, files: &[&str]| {
            let folder = root.path().join(name);
            for file in files {
                fs::create_dir_all(folder.join(file).parent().unwrap()).unwrap();
                fs::write(folder.join(file), "").unwrap();
            }
            is_comparison(&folder)
        };
        assert!(!folder("nothing", &[]) && !folder("other", &["a.txt"]));
        assert!(!folder("run", &[CONFIG, "data.json", "metrics.jsonl", "checkpoints/step-00000007.safetensors"]));
        assert!(!folder("old-run", &[CONFIG, "checkpoints/step-00000007.safetensors"]));
        assert!(!folder("runs", &["a/config.resolved.toml"]), "a folder of runs");
        assert!(folder("new", &[FILE]));
        // As older versions left them: just begun, with runs, and with a run that was trained into it.
        assert!(folder("begun", &[CONFIG, "config.toml"]));
        assert!(folder("old", &[CONFIG, "raw-1/config.resolved.toml"]));
        assert!(folder("mixed", &[CONFIG, "data.json", "metrics.jsonl", "raw-1/config.resolved.toml"]));
    }
}
