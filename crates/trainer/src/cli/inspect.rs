//! `frugal inspect`.

use crate::state::checkpoint::CheckpointReport;
use crate::state::checkpoint::{self, CheckpointError};
use crate::{Error, terminal};
use clap::Args;
use std::path::{Path, PathBuf};

/// Show what is in a checkpoint.
///
/// That is its tensors with shapes and sizes, and what it was made by.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// A checkpoint, any other safetensors file, or a run's folder: its newest checkpoint
    checkpoint: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result<(), Error> {
    let report = read(&options.checkpoint)?;
    terminal::report(&report, options.json)
}

fn read(path: &Path) -> Result<CheckpointReport, Error> {
    if path.is_dir() {
        let newest = checkpoint::newest(path, |_, reason| terminal::warn(reason))?;
        let missing = Error::NotARun { folder: path.to_path_buf(), missing: "checkpoint" };
        let (step, checkpoint) = newest.ok_or(missing)?;
        return Ok(CheckpointReport::new(&step.path, checkpoint));
    }
    crate::error::check_format(path)?;
    let bytes = frugal_data::input::read(path, u64::MAX).map_err(Error::io("read", path))?;
    match checkpoint::decode(path, &bytes) {
        Ok(checkpoint) => Ok(CheckpointReport::new(path, checkpoint)),
        // Weights, perhaps of another program.
        Err(CheckpointError::Foreign(_)) => Ok(CheckpointReport::of_tensors(path, checkpoint::tensors(path, &bytes)?)),
        Err(error) => Err(error.into()),
    }
}
