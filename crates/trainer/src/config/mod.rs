//! Settings: from a TOML file and its overrides to a [`Config`] in which everything has a value and every value is
//! checked.
//!
//! ```text
//! file ──┐
//!        ├─▶ source: a tree, each value with its place ─▶ reader, sections: types, ranges, defaults ─▶ Config
//! --set ─┘
//! ```
//!
//! To add a setting: a field in `data`, `model` or `training`, a line in `sections.rs` (or `data/section.rs`, `save_policy.rs`) that
//! reads it, and a line in a config that uses it.

mod codec_spec;
mod data;
mod layers;
mod model;
mod name;
mod policy_spec;
mod reader;
mod save_policy;
mod sections;
mod setup;
mod source;
mod training;

pub use crate::error::ConfigError;
pub use codec_spec::{BoundTarget, CodecSpec};
pub use data::{Data, Normalisation, Table};
pub(crate) use data::{sample_of, sample_with};
pub use layers::Layers;
pub use model::{Design, Model};
pub use policy_spec::{PolicySpec, PolicySpecs};
pub use save_policy::{SavePolicy, SaveRule, parse_slices, slices_name};
pub use setup::Setup;
pub use source::Override;
pub use training::{Checkpoint, Course, Loss, Optimizer, Schedule, Train, Update, Warmup};

use crate::terminal;
use frugal_data::Goal;
use frugal_model::{Task, Training};
use frugal_report::records::Measure;
use frugal_tensor::ir::Precision;
use frugal_tensor::ops::optimizer::{LossScale, UpdateConfig};
use serde::Serialize;
use std::path::Path;

/// The most bytes of a config.
const MOST_BYTES: u64 = 1 << 20;

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
    /// What is made small.
    pub loss: Loss,
    /// How parameters move.
    pub optimizer: Update,
    /// How the learning rate goes over the run.
    pub schedule: Schedule,
    /// How long.
    pub train: Train,
    /// What is kept to go on from.
    pub checkpoint: Checkpoint,
    /// In which form saved tensors are kept for the backward pass.
    pub store: SavePolicy,
    /// What `frugal compare` compares.
    pub compare: Compare,
}

/// What `frugal compare` compares.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compare {
    /// The stores, in the order of the table.
    pub stores: Vec<PolicySpec>,
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
        Self::load_of(path, MOST_BYTES, path.parent().unwrap_or(Path::new("")), overrides)
    }

    /// As [`Config::load`], but relative paths start at this folder.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load_at(path: &Path, folder: &Path, overrides: &[Override]) -> Result<(Config, String), ConfigError> {
        // What is written down of a config says all of its settings, and is longer.
        Self::load_of(path, 8 * MOST_BYTES, folder, overrides)
    }

    fn load_of(path: &Path, most: u64, folder: &Path, overrides: &[Override]) -> Result<(Config, String), ConfigError> {
        let content =
            frugal_data::input::read_short_text(path, most).map_err(|error| ConfigError::unreadable(path, &error))?;
        let file = path.display().to_string();
        let (config, root) = Self::read(&file, &content, folder, overrides)?;
        let stem = name::stem(&file);
        if !root.has("name") && config.name != stem {
            terminal::say(format_args!(
                "the config is called {}, as no folder of every system can be called `{stem}`; `name` says another",
                config.name
            ));
        }
        Ok((config, content))
    }

    /// As [`Config::load`], from text.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parse(name: &str, content: &str, folder: &Path, overrides: &[Override]) -> Result<Config, ConfigError> {
        Self::read(name, content, folder, overrides).map(|(config, _)| config)
    }

    fn read(
        name: &str,
        content: &str,
        folder: &Path,
        overrides: &[Override],
    ) -> Result<(Config, source::Node), ConfigError> {
        let mut root = source::Node::parse(name, content)?;
        for change in overrides {
            root.set(change);
        }
        Ok((sections::config(&root, name, folder)?, root))
    }

    /// The measure of its runs.
    pub fn measure(&self) -> Measure {
        match (self.task(), self.loss) {
            (Task::Classes, _) => Measure::Accuracy,
            (Task::Pixels | Task::Images, Loss::Mse) => Measure::SquaredError,
            _ => Measure::Loss,
        }
    }

    /// What the net makes of images.
    pub fn task(&self) -> Task {
        self.model.task()
    }

    /// What the net is to make of images of a set with so many classes.
    pub fn goal(&self, classes: usize) -> Goal {
        self.model.goal(classes)
    }

    /// What a training step does.
    pub fn training(&self) -> Training {
        let Train { accumulate, clip_norm, ema, .. } = self.train;
        let usual = LossScale::default();
        let start = self.train.loss_scale.map_or(usual.start, |start| start as f32);
        let update = UpdateConfig {
            optimizer: self.optimizer.rule.operator(),
            clip_norm: clip_norm.map(|norm| norm as f32),
            accumulate: accumulate > 1,
            average: ema,
            loss_scale: (self.train.precision == Precision::F16).then_some(LossScale { start, ..usual }),
            state: self.optimizer.state,
        };
        Training { loss: self.loss.operator(), update, mixed: self.data.augment.mixup.is_some() }
    }

    /// The settings as a file that gives them again.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("numbers, texts and tables can be written as TOML")
    }
}
