//! What can be wrong with a checkpoint.

use super::FileFormat;
use frugal_report::units::listed;
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
        path.display(), newest
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u64,
        /// The newest format that this version reads.
        newest: u64,
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

/// How many names of one kind an error lists.
const LISTED: usize = 8;

/// In what a file's tensors differ from a net's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Names with their extents in the file and in the net.
    pub shapes: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Names with the type that their numbers have in the file, of those that are not read.
    pub types: Vec<(String, String)>,
    /// What the net has and the file lacks.
    pub missing: Vec<String>,
    /// What the file has and the net lacks.
    pub extra: Vec<String>,
}

impl Differences {
    /// The layer, with its outputs in the file and in the net, if that is all that differs: a classifier of other classes.
    pub fn classifier(&self) -> Option<(&str, usize, usize)> {
        let (first, there, here) = self.shapes.first()?;
        let layer = first.rsplit_once('.')?.0;
        let outputs = (*there.first()?, *here.first()?);
        let same = |(name, there, here): &(String, Vec<usize>, Vec<usize>)| {
            name.rsplit_once('.').is_some_and(|(other, _)| other == layer)
                && there.len() == here.len()
                && there[1..] == here[1..]
                && (there[0], here[0]) == outputs
        };
        let alone = self.missing.is_empty() && self.extra.is_empty() && self.types.is_empty();
        // A weight and a bias: a convolution in the middle has other layers behind it.
        (alone && self.shapes.len() <= 2 && self.shapes.iter().all(same)).then_some((layer, outputs.0, outputs.1))
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = |texts: Vec<String>| {
            let more = texts.len().saturating_sub(LISTED);
            let shown = texts.into_iter().take(LISTED).collect::<Vec<_>>().join(", ");
            if more == 0 { shown } else { format!("{shown} and {more} more") }
        };
        let extents = |shape: &[usize]| shape.iter().map(usize::to_string).collect::<Vec<_>>().join("×");
        let shape = |(name, there, here): &(String, Vec<usize>, Vec<usize>)| {
            format!("`{name}` is {} there and {} here", extents(there), extents(here))
        };
        let mut parts = Vec::new();
        if !self.shapes.is_empty() {
            parts.push(texts(self.shapes.iter().map(shape).collect()));
        }
        if !self.types.is_empty() {
            let numbers = |(name, kind): &(String, String)| format!("`{name}` has numbers of type {kind}");
            parts.push(format!("{}, which are not read", texts(self.types.iter().map(numbers).collect())));
        }
        if !self.missing.is_empty() {
            parts.push(format!("the file lacks {}", listed(&self.missing, LISTED)));
        }
        if !self.extra.is_empty() {
            parts.push(format!("the net has no {}", listed(&self.extra, LISTED)));
        }
        f.write_str(&parts.join("; "))
    }
}
