//! Settings: from a TOML file and its overrides to a [`Config`] in which everything has a value and every value is
//! checked.
//!
//! ```text
//! file ──┐
//!        ├─▶ source: a tree, each value with its place ─▶ reader, sections, store: types, ranges, defaults ─▶ Config
//! --set ─┘
//! ```
//!
//! To add a setting: a field below, a line in `sections.rs`, a line in a config that uses it.

mod choice;
mod error;
mod form;
mod reader;
mod sections;
mod source;
mod store;

pub use choice::{Choice, Choices};
pub use error::ConfigError;
pub(crate) use error::suggest;
pub use form::{BoundTarget, Form};
pub use source::Override;
pub use store::{Store, StoreRule};

use frugal_tensor::ops::optimizer as ops;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// All settings of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// Names the run folder.
    pub name: String,
    /// Decides the first weights, the order of samples and all rounding by chance.
    pub seed: u32,
    /// What is learned from.
    pub data: Data,
    /// What learns.
    pub model: Model,
    /// How parameters move.
    pub optimizer: Optimizer,
    /// How the learning rate goes over the run.
    pub schedule: Schedule,
    /// How long.
    pub train: Train,
    /// What is kept to go on from.
    pub checkpoint: Checkpoint,
    /// In which form values wait for the backward pass.
    pub store: Store,
    /// What `frugal compare` compares.
    pub compare: Compare,
}

/// What is learned from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Data {
    /// A set of the catalogue (`frugal data list`).
    pub set: String,
    /// Samples per step.
    pub batch: usize,
    /// Where downloaded sets are.
    pub root: PathBuf,
}

/// What learns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// A net by name (`frugal nets`).
    pub net: String,
}

/// How parameters move.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Optimizer {
    /// Stochastic gradient descent.
    Sgd {
        /// Learning rate.
        lr: f64,
        /// Share of the old direction in the new one.
        momentum: f64,
        /// Whether to look ahead.
        nesterov: bool,
        /// Pull towards zero.
        weight_decay: f64,
    },
    /// Adam.
    Adam {
        /// Learning rate.
        lr: f64,
        /// Decay of the mean gradient.
        beta1: f64,
        /// Decay of the mean squared gradient.
        beta2: f64,
        /// Keeps the divisor away from zero.
        epsilon: f64,
        /// Pull towards zero.
        weight_decay: f64,
    },
}

impl Optimizer {
    /// The learning rate that the schedule scales.
    pub fn learning_rate(&self) -> f64 {
        match *self {
            Optimizer::Sgd { lr, .. } | Optimizer::Adam { lr, .. } => lr,
        }
    }

    /// The operator that does it.
    pub fn operator(&self) -> ops::Optimizer {
        match *self {
            Optimizer::Sgd { momentum, nesterov, weight_decay, .. } => {
                ops::Optimizer::Sgd(ops::Sgd { momentum: momentum as f32, nesterov, weight_decay: weight_decay as f32 })
            }
            Optimizer::Adam { beta1, beta2, epsilon, weight_decay, .. } => ops::Optimizer::Adam(ops::Adam {
                beta1,
                beta2,
                epsilon: epsilon as f32,
                weight_decay: weight_decay as f32,
            }),
        }
    }
}

impl Default for Optimizer {
    fn default() -> Self {
        Optimizer::Sgd { lr: 0.05, momentum: 0.9, nesterov: false, weight_decay: 0.0 }
    }
}

/// How the learning rate goes over the run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Schedule {
    /// Its course.
    #[serde(flatten)]
    pub course: Course,
    /// How long it rises to its full height in the beginning.
    #[serde(flatten)]
    pub warmup: Warmup,
}

/// The course of the learning rate.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Course {
    /// Stays.
    Constant,
    /// Multiplied by `factor` at each milestone.
    Step {
        /// After how many epochs, ascending.
        milestones: Vec<f64>,
        /// By how much.
        factor: f64,
    },
    /// Half a cosine, to 0 at the end.
    Cosine,
}

/// Linear warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Warmup {
    /// Over so many steps.
    #[serde(rename = "warmup_steps")]
    Steps(u64),
    /// Over so many epochs.
    #[serde(rename = "warmup_epochs")]
    Epochs(f64),
}

/// How long.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Train {
    /// How often every sample is seen.
    pub epochs: u64,
    /// Steps between two evaluations, besides those at the ends of epochs; 0 for none.
    pub eval_every_steps: u64,
    /// After how many evaluations in a row without a better accuracy a run ends before its time; 0 for never.
    pub patience: u64,
    /// Whether to write TensorBoard event files.
    pub tensorboard: bool,
}

/// What is kept to go on from. A checkpoint is written whenever one of the intervals is over; 0 stands for never.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checkpoint {
    /// Steps between two checkpoints.
    pub every_steps: u64,
    /// Epochs between two checkpoints.
    pub every_epochs: u64,
    /// How many of the newest stay.
    pub keep_last: u64,
    /// Whether the one after the best evaluation stays.
    pub keep_best: bool,
    /// Steps between two checkpoints that stay for good.
    pub keep_every_steps: u64,
    /// Epochs between two checkpoints that stay for good.
    pub keep_every_epochs: u64,
}

impl Default for Checkpoint {
    fn default() -> Self {
        // Two, so that a damaged one has one before it.
        Self {
            every_steps: 0,
            every_epochs: 1,
            keep_last: 2,
            keep_best: true,
            keep_every_steps: 0,
            keep_every_epochs: 0,
        }
    }
}

/// What `frugal compare` compares.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compare {
    /// The stores, in the order of the table.
    pub stores: Vec<Choice>,
    /// How many runs of each, from `seed` upwards.
    pub seeds: u32,
    /// Bytes for which the largest batch of each store is sought.
    pub budget: u64,
    /// Whether to measure what each store does to gradients.
    pub examine: bool,
}

impl Config {
    /// Reads a file, puts the overrides in place and checks everything. Relative paths start at the file's folder.
    ///
    /// # Errors
    /// [`ConfigError`], with the place in the file or in the command line.
    pub fn load(path: &Path, overrides: &[Override]) -> Result<(Config, String), ConfigError> {
        let content = std::fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, &error))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let config = Self::parse(&path.display().to_string(), &content, folder, overrides)?;
        Ok((config, content))
    }

    /// As [`Config::load`], from text.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parse(name: &str, content: &str, folder: &Path, overrides: &[Override]) -> Result<Config, ConfigError> {
        let mut root = source::Node::parse(name, content)?;
        for change in overrides {
            root.set(change);
        }
        sections::config(&root, name, folder)
    }

    /// The settings as a file that gives them again.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("numbers, texts and tables can be written as TOML")
    }
}
