//! What can be wrong with a checkpoint.

use super::{Differences, FileFormat};
use std::fmt;
use std::path::PathBuf;

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// It was cut off or changed.
    #[error("the checkpoint {} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was seen.
        reason: String,
    },
    /// It is a safetensors file, but no checkpoint.
    #[error("{} is no checkpoint of Frugal", .0.display())]
    Foreign(PathBuf),
    /// It is no safetensors file, but one of another format.
    #[error("{} is {format}, not a safetensors file", path.display())]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: FileFormat,
    },
    /// Two tensors of weights would be one value of the net.
    #[error("in {} both `{}` and `{}` could be `{value}`", path.display(), names[0], names[1])]
    TwoTensors {
        /// The file.
        path: PathBuf,
        /// The value of the net.
        value: String,
        /// The tensors.
        names: [String; 2],
    },
    /// Weights are not all numbers.
    #[error("`{name}` in {} holds {value}", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The first value of it that is not finite.
        value: f32,
    },
    /// A later version of Frugal wrote it.
    #[error(
        "the checkpoint {} has format {format}, but this version of Frugal reads formats up to {}",
        path.display(), super::FORMAT
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u64,
    },
    /// It belongs to another net, optimiser or store.
    #[error("the values of {made_by} do not fit: `{name}` {} there and {} here", Extents(there), Extents(here))]
    Misfit {
        /// The net or the file that they are of.
        made_by: String,
        /// The first value that differs.
        name: String,
        /// Its extents in this run; none if it has no such value.
        here: Option<Vec<usize>>,
        /// Its extents in the checkpoint; none if it has no such value.
        there: Option<Vec<usize>>,
    },
    /// Weights are of another net.
    #[error("the values of {} do not fit {net}: {differences}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// The net.
        net: String,
        /// What differs.
        differences: Box<Differences>,
    },
    /// A layer that is to be left out is not there.
    #[error("there is no layer `{layer}` that could be left out, neither in {net} nor in {}", path.display())]
    NoSuchLayer {
        /// The file.
        path: PathBuf,
        /// The net.
        net: String,
        /// Its name.
        layer: String,
    },
    /// It says something that its net and its data do not allow.
    #[error("the checkpoint is damaged: `{field}` {what}")]
    Impossible {
        /// What of it.
        field: &'static str,
        /// What it says.
        what: String,
    },
    /// The settings of the run were changed in a way that makes it another run.
    #[error("{} was made with other settings: {differences}", path.display())]
    OtherSettings {
        /// The checkpoint, or the settings of the run.
        path: PathBuf,
        /// The sections that differ.
        differences: String,
    },
    /// The set has other content than the one that the run learned from.
    #[error("the run learned from other data: {difference}")]
    OtherData {
        /// In what the content differs.
        difference: String,
    },
    /// None can be used.
    #[error("none of the {} checkpoints in {} can be used", damaged.len(), folder.display())]
    AllDamaged {
        /// Where they are.
        folder: PathBuf,
        /// What is wrong with each.
        damaged: Vec<String>,
    },
}

/// "is 3×4", "is absent".
struct Extents<'a>(&'a Option<Vec<usize>>);

impl fmt::Display for Extents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("is absent"),
            Some(extents) => write!(f, "is {}", extents.iter().map(usize::to_string).collect::<Vec<_>>().join("×")),
        }
    }
}
