//! Everything that can keep the program from doing what it was asked, and what to do about it.

mod advice;
mod checkpoint;
mod classes;
mod config;
mod excerpt;
mod file_format;
mod tiles;

pub use checkpoint::{CheckpointError, Differences};
pub use classes::ClassError;
pub(crate) use classes::LISTED;
pub use config::ConfigError;
pub(crate) use config::{closest, suggest};
pub(crate) use excerpt::{Place, Text};
pub use file_format::FileFormat;
pub(crate) use file_format::check_format;
pub use tiles::{TilesError, VARIABLE};

use frugal_data::DataError;
use frugal_model::ModelError;
use frugal_report::units;
use frugal_tensor::{GpuError, PlanError};
use miette::{Diagnostic, LabeledSpan, SourceCode};
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Why the program stops.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An option of the command line cannot be used.
    #[error("{0}")]
    Usage(String),
    /// Data is missing or damaged.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The net does not exist or does not fit the images.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The step does not fit the adapter.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The device is missing, lost or out of memory.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// A table of tiles cannot be used.
    #[error(transparent)]
    Tiles(#[from] TilesError),
    /// The folder for the results holds something already.
    #[error("the folder {} exists and is not empty; results are never overwritten", .0.display())]
    FolderTaken(PathBuf),
    /// A checkpoint cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The folder is not one that `frugal train` made.
    #[error("{} is not the folder of a run: it has no {missing}", folder.display())]
    NotARun {
        /// The folder.
        folder: PathBuf,
        /// What every run has.
        missing: &'static str,
    },
    /// Two processes would work on one run.
    #[error("another process is training the run in {}", .0.display())]
    RunInUse(PathBuf),
    /// There is nothing to go on with.
    #[error("the run in {} is finished", .0.display())]
    RunFinished(PathBuf),
    /// The folder of a comparison was taken for that of a run.
    #[error("{} is the folder of a comparison, not that of a run", .0.display())]
    AComparison(PathBuf),
    /// All of a comparison is there.
    #[error("the comparison in {} is finished", .0.display())]
    ComparisonFinished(PathBuf),
    /// The user stopped a comparison.
    #[error("stopped at {place}; what was done is kept in {}", folder.display())]
    ComparisonInterrupted {
        /// Its folder.
        folder: PathBuf,
        /// The run, or what came after all runs.
        place: String,
    },
    /// The user stopped the run.
    #[error("stopped after step {step}; a checkpoint of it is in {}", folder.display())]
    Interrupted {
        /// The folder of the run.
        folder: PathBuf,
        /// Training steps done.
        step: u64,
    },
    /// Images that cannot be read, each of which was named.
    #[error("{bad} of {all} images cannot be read")]
    BadImages {
        /// How many.
        bad: usize,
        /// Of how many.
        all: usize,
    },
    /// The operating system refused something.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The answer.
        source: std::io::Error,
    },
    /// A result has nowhere to go.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] std::io::Error),
    /// The loss is no longer a number.
    #[error("the loss is not finite at step {step} (epoch {epoch}{}): {finding}", if *.evaluation { ", while evaluating" } else { "" })]
    Diverged {
        /// Counts training steps from 1.
        step: u64,
        /// Counts epochs from 1.
        epoch: u64,
        /// Whether it was seen while evaluating.
        evaluation: bool,
        /// The first value that is not finite.
        finding: String,
        /// The rate at that step.
        learning_rate: f32,
    },
    /// The classes of a set are not those of the net.
    #[error(transparent)]
    Classes(#[from] ClassError),
    /// The images of a set are not of the shape that the net learned from.
    #[error("the images of {set} are {}, but the net learned from images of {}", extents(there), extents(here))]
    OtherImages {
        /// The name of the set.
        set: String,
        /// Channels, height, width of its images.
        there: [usize; 3],
        /// Those of the images that the net learned from.
        here: [usize; 3],
    },
    /// The columns of a table do not mean what they meant where the net learned.
    #[error("the columns of {set} are not those that the net learned from")]
    OtherColumns {
        /// The name of the set.
        set: String,
    },
    /// A trained net gives no answer.
    #[error("the net's output for {sample} is {value}, which is no answer")]
    OutputNotFinite {
        /// What it was given.
        sample: String,
        /// The first output that is not finite.
        value: f32,
    },
    /// No choice of forms keeps to a budget.
    #[error(
        "a step of batch {batch} does not fit in {}: the least that was found is {}",
        units::bytes(*.budget), units::bytes(*.least)
    )]
    OverBudget {
        /// Bytes that were allowed.
        budget: u64,
        /// Bytes that the run would allocate at least.
        least: u64,
        /// Samples per step.
        batch: usize,
    },
    /// Runs of a comparison diverged; the others have their rows in its tables.
    #[error("{diverged} of {runs} runs diverged; the others are in the tables")]
    RunsDiverged {
        /// Those that did.
        diverged: usize,
        /// All.
        runs: usize,
    },
    /// The noise of a gradient shows only between batches.
    #[error("the training set has fewer than two batches, so that the noise of gradients cannot be measured")]
    TooFewBatches,
    /// A defect of Frugal: the ledger and the session disagree.
    #[error("the plan says {planned} bytes, but the session allocated {allocated}")]
    BytesDiffer {
        /// What the plan says.
        planned: u64,
        /// What was allocated.
        allocated: u64,
    },
}

impl Error {
    /// An adapter for `map_err`: names the action and the path that an I/O error belongs to.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { action, path, source }
    }

    /// 2 if the user requested what cannot be done, 130 if the user stopped a run, 1 if a run failed.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Interrupted { .. } | Error::ComparisonInterrupted { .. } => 130,
            Error::AComparison(_)
            | Error::ComparisonFinished(_)
            | Error::NotARun { .. }
            | Error::RunInUse(_)
            | Error::RunFinished(_)
            | Error::Checkpoint(_) => 2,
            Error::Classes(_) | Error::OtherImages { .. } | Error::OtherColumns { .. } => 2,
            Error::Config(_) | Error::Usage(_) | Error::Tiles(_) | Error::FolderTaken(_) | Error::OverBudget { .. } => {
                2
            }
            Error::Gpu(GpuError::NoSuchAdapter { .. } | GpuError::NoF16 { .. })
            | Error::Data(DataError::Unknown { .. }) => 2,
            Error::Model(ModelError::NoSuchNet { .. } | ModelError::NoLoss { .. }) => 2,
            _ => 1,
        }
    }
}

impl Diagnostic for Error {
    fn help(&self) -> Option<Box<dyn Display + '_>> {
        match self {
            Error::Config(error) => error.help(),
            _ => self.advice().map(|advice| Box::new(advice) as Box<dyn Display>),
        }
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        match self {
            Error::Config(error) => error.source_code(),
            _ => None,
        }
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        match self {
            Error::Config(error) => error.labels(),
            _ => None,
        }
    }
}

/// "3×224×224".
fn extents(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join("×")
}
