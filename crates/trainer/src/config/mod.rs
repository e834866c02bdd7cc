//! Settings: from a TOML file and its overrides to a [`Config`] in which everything has a value and every value is
//! checked.
//!
//! ```text
//! file ──┐
//!        ├─▶ source: a tree, each value with its place ─▶ reader, sections, store: types, ranges, defaults ─▶ Config
//! --set ─┘
//! ```
//!
//! To add a setting: a field below, a line in `sections.rs` (or `data.rs`, `save_policy.rs`), a line in a config that uses it.

mod codec_spec;
mod data;
mod layers;
mod name;
mod policy_spec;
mod reader;
mod save_policy;
mod sections;
mod setup;
mod source;

pub use crate::error::ConfigError;
pub use codec_spec::{BoundTarget, CodecSpec};
pub(crate) use data::{sample_of, sample_with};
pub use layers::Layers;
pub use policy_spec::{PolicySpec, PolicySpecs};
pub use save_policy::{SavePolicy, SaveRule};
pub use setup::Setup;
pub use source::Override;

use crate::terminal;
use frugal_data::table::{self, TableOptions};
use frugal_data::{Augment, DataError, Dataset, Frame, Goal, Purpose, Share};
use frugal_model::{Mlp, ModelError, Net, Sample, Task, Training};
use frugal_report::records::Measure;
use frugal_tensor::ir::Precision;
use frugal_tensor::ops::loss::{self, ElementLoss};
use frugal_tensor::ops::optimizer::{self as ops, LossScale};
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};

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
    pub optimizer: Optimizer,
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

/// What is learned from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Data {
    /// A set of the catalogue (`frugal data list`), or the path of a file or folder of the user's own.
    pub set: String,
    /// What the columns of a table mean.
    #[serde(flatten)]
    pub table: Table,
    /// What images of the user's own are brought to.
    #[serde(flatten, serialize_with = "data::frame")]
    pub frame: Frame,
    /// What images are normalised by, in the place of their own mean and deviation.
    #[serde(flatten)]
    pub normalisation: Option<Normalisation>,
    /// Samples per step.
    pub batch: usize,
    /// Where downloaded sets are.
    pub root: PathBuf,
    /// What of the training samples is held out, to be evaluated after each epoch in the place of the test set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Share>,
    /// Threads that fill batches; none to let the loader choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,
    /// The deviation of normal noise on all images, those of evaluations too, as a share of white; what a net is to make of them
    /// has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<f64>,
    /// What chance does to training images.
    #[serde(skip_serializing_if = "Augment::is_none")]
    pub augment: Augment,
}

/// What the columns of a table mean; of images nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Table {
    /// The column that is predicted.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// Whether that is a number, and not a class.
    #[serde(rename = "task", serialize_with = "data::task", skip_serializing_if = "std::ops::Not::not")]
    pub regression: bool,
    /// Columns of categories, whatever their cells look like.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Columns of numbers, whatever their cells look like.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<String>,
    /// Columns that are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// Categories with fewer training rows count as unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rare: Option<usize>,
    /// Bytes of rows that may be in memory; of a table with more, all are in a temporary file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}

impl Table {
    /// As the reader of tables takes them.
    pub fn options(&self) -> TableOptions {
        let Self { target, regression, categories, numbers, ignore, rare, memory } = self.clone();
        let rare = rare.unwrap_or(1);
        let most_in_memory = memory.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        TableOptions { target, regression, categories, numbers, ignore, rare, most_in_memory }
    }
}

/// What is subtracted from `x / 255`, and what the difference is divided by, for each channel: those that a net with weights
/// learned with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Normalisation {
    /// Subtracted.
    pub mean: Vec<f32>,
    /// Divided by.
    pub std: Vec<f32>,
}

impl Normalisation {
    /// Whether it is for images of so many channels.
    ///
    /// # Errors
    /// [`DataError::Invalid`].
    pub fn check(&self, channels: usize) -> Result<(), DataError> {
        let here = self.mean.len();
        if here == channels {
            return Ok(());
        }
        let message = format!("`data.mean` and `data.std` have {here} channels, the images {channels}");
        Err(DataError::Invalid(message))
    }
}

impl Data {
    /// Opens the set to train on it.
    ///
    /// # Errors
    /// [`DataError`] says what is missing or broken.
    pub fn open(&self) -> Result<Dataset, DataError> {
        self.open_for(Purpose::Train)
    }

    /// Opens the set. The purpose decides what is evaluated of a set that has no test part.
    ///
    /// # Errors
    /// As [`Data::open`].
    pub fn open_for(&self, purpose: Purpose) -> Result<Dataset, DataError> {
        if self.set == table::EMBEDDED {
            return table::open_embedded(&table::embedded_options(self.table.options()));
        }
        if self.is_table() {
            return table::open(Path::new(&self.set), &self.table.options(), purpose);
        }
        let mut set = if frugal_data::is_path(&self.set) {
            frugal_data::open_own(Path::new(&self.set), self.frame, purpose)?
        } else {
            frugal_data::open(&self.set, &self.root)?
        };
        if let Some(normalisation) = &self.normalisation {
            normalisation.check(set.shape[0])?;
            (set.mean, set.std) = (normalisation.mean.clone(), normalisation.std.clone());
        }
        Ok(set)
    }

    /// What a sample is, and the number of classes. A set of the catalogue need not be there for it.
    ///
    /// # Errors
    /// As [`Data::open`].
    pub fn shape(&self) -> Result<(Sample, usize), DataError> {
        let known = frugal_data::catalogue(&self.root).into_iter().find(|set| set.name == self.set && !self.is_table());
        match known {
            Some(set) => Ok((set.shape.into(), set.classes)),
            None => self.open().map(|set| (sample_of(&set), set.classes)),
        }
    }

    /// Whether the set is a table: one of the user's own with a target column, or the embedded one.
    pub fn is_table(&self) -> bool {
        data::is_table(&self.set, &self.table)
    }
}

/// What learns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// A net by name, or as a list of layers.
    #[serde(flatten)]
    pub design: Design,
    /// Outputs of the hidden layers of `mlp`; none for the usual ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Vec<usize>>,
    /// The share of the hidden layers' outputs that training of `mlp` drops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
    /// Elements of a category's embedding; none for the usual ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding: Option<usize>,
    /// Whether it is trained for numbers: `data.task` says so.
    #[serde(skip)]
    pub values: bool,
    /// One in this many of a named net's hidden channels, rounded up: the same layers, for small data and small machines.
    #[serde(skip_serializing_if = "is_one")]
    pub narrow: usize,
    /// Where its values come from at first: a safetensors file with PyTorch's names, or a checkpoint. None for values by
    /// chance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,
    /// Layers that begin by chance all the same, such as a classifier of other classes, by their names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weights_except: Vec<String>,
}

/// What a net is made of.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Design {
    /// A net by name (`frugal nets`).
    Net(String),
    /// Layers, one after the other.
    Layers(Layers),
}

impl Model {
    /// What to call the net.
    pub fn name(&self) -> &str {
        match &self.design {
            Design::Net(name) => name,
            Design::Layers(_) => Net::SEQUENTIAL,
        }
    }

    /// What the net makes of images.
    pub fn task(&self) -> Task {
        self.net().map_or(Task::Classes, |net| net.task)
    }

    /// What the net is to make of images of a set with so many classes.
    pub fn goal(&self, classes: usize) -> Goal {
        match self.task() {
            Task::Classes => Goal::Classes(classes),
            Task::Pixels | Task::Images => Goal::Images,
            // Rows have their targets with them.
            Task::Values => Goal::Classes(classes),
        }
    }

    /// The net.
    ///
    /// # Errors
    /// [`ModelError::NoSuchNet`].
    pub fn net(&self) -> Result<Net, ModelError> {
        let usual = Mlp::USUAL;
        let net = match &self.design {
            Design::Net(_) if self.hidden.is_some() || self.dropout.is_some() => Net::mlp(Mlp {
                hidden: self.hidden.clone().map_or(usual.hidden, Into::into),
                dropout: self.dropout.map_or(usual.dropout, |share| share as f32),
            })
            .narrowed(self.narrow),
            Design::Net(name) => Net::find(name)?.narrowed(self.narrow),
            Design::Layers(layers) => Net::sequential(layers.list()),
        };
        let net = self.embedding.map_or(net.clone(), |elements| net.with_embedding(elements));
        Ok(if self.values { net.for_values() } else { net })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it so")]
fn is_one(count: &usize) -> bool {
    *count == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it so")]
fn is_usual(precision: &Precision) -> bool {
    *precision == Precision::default()
}

/// What is made small.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Loss {
    /// Softmax and cross-entropy.
    CrossEntropy {
        /// The share of a target that all classes have between them.
        label_smoothing: f64,
    },
    /// Mean squared error of the outputs against 1 at the label and 0 elsewhere; of a net that makes images, against those.
    Mse,
    /// Mean absolute error against the same.
    Mae,
    /// Binary cross-entropy against the same, for each class, or value of an image, by itself.
    Bce,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Loss::CrossEntropy { label_smoothing: 0.0 } => f.write_str("cross-entropy"),
            Loss::CrossEntropy { label_smoothing } => write!(f, "cross-entropy with label smoothing {label_smoothing}"),
            Loss::Mse => f.write_str("mean squared error"),
            Loss::Mae => f.write_str("mean absolute error"),
            Loss::Bce => f.write_str("binary cross-entropy"),
        }
    }
}

impl Loss {
    /// What holds where a config says nothing.
    pub fn usual(task: Task) -> Self {
        match task {
            Task::Classes => Loss::CrossEntropy { label_smoothing: 0.0 },
            Task::Pixels | Task::Images | Task::Values => Loss::Mse,
        }
    }

    /// The operator that does it.
    pub fn operator(&self) -> loss::Loss {
        match *self {
            Loss::CrossEntropy { label_smoothing } => loss::Loss::CrossEntropy { smoothing: label_smoothing as f32 },
            Loss::Mse => loss::Loss::Elements(ElementLoss::MeanSquared),
            Loss::Mae => loss::Loss::Elements(ElementLoss::MeanAbsolute),
            Loss::Bce => loss::Loss::Elements(ElementLoss::BinaryCrossEntropy),
        }
    }
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
    /// Adam, but the pull acts on parameters by itself.
    #[serde(rename = "adamw")]
    AdamW {
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
    /// RMSprop.
    #[serde(rename = "rmsprop")]
    RmsProp {
        /// Learning rate.
        lr: f64,
        /// Decay of the mean squared gradient.
        alpha: f64,
        /// Keeps the divisor away from zero.
        epsilon: f64,
        /// Share of the old direction in the new one.
        momentum: f64,
        /// Pull towards zero.
        weight_decay: f64,
    },
}

impl Optimizer {
    /// The learning rate that the schedule scales.
    pub fn learning_rate(&self) -> f64 {
        match *self {
            Optimizer::Sgd { lr, .. }
            | Optimizer::Adam { lr, .. }
            | Optimizer::AdamW { lr, .. }
            | Optimizer::RmsProp { lr, .. } => lr,
        }
    }

    /// The operator that does it.
    pub fn operator(&self) -> ops::Optimizer {
        match *self {
            Optimizer::Sgd { momentum, nesterov, weight_decay, .. } => {
                ops::Optimizer::Sgd(ops::Sgd { momentum: momentum as f32, nesterov, weight_decay: weight_decay as f32 })
            }
            Optimizer::Adam { beta1, beta2, epsilon, weight_decay, .. }
            | Optimizer::AdamW { beta1, beta2, epsilon, weight_decay, .. } => ops::Optimizer::Adam(ops::Adam {
                beta1,
                beta2,
                epsilon: epsilon as f32,
                weight_decay: weight_decay as f32,
                decoupled: matches!(self, Optimizer::AdamW { .. }),
            }),
            Optimizer::RmsProp { alpha, epsilon, momentum, weight_decay, .. } => {
                ops::Optimizer::RmsProp(ops::RmsProp {
                    alpha,
                    epsilon: epsilon as f32,
                    momentum: momentum as f32,
                    weight_decay: weight_decay as f32,
                })
            }
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
    /// How long it rises to its full height in the beginning. Where none is set, none is written: not all courses take one.
    #[serde(flatten, skip_serializing_if = "Warmup::is_unset")]
    pub warmup: Warmup,
}

impl Schedule {
    /// The least share of the full rate that is not meant to be nothing.
    fn least(&self) -> f64 {
        let rise = match self.warmup {
            Warmup::Steps(steps) => 1.0 / steps.max(1) as f64,
            Warmup::Epochs(_) => 1.0,
        };
        rise * match &self.course {
            Course::Constant | Course::Cosine => 1.0,
            Course::Step { milestones, factor } => factor.powi(milestones.len() as i32),
            Course::OneCycle { div_factor, final_div_factor, .. } => 1.0 / (div_factor * final_div_factor),
        }
    }
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
    /// Up and down again over the whole run (arXiv 1708.07120), as PyTorch's OneCycleLR with its default shape.
    OneCycle {
        /// The share of the run in which the rate rises.
        pct_start: f64,
        /// The full rate over the first.
        div_factor: f64,
        /// The first rate over the last.
        final_div_factor: f64,
    },
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

impl Warmup {
    fn is_unset(&self) -> bool {
        *self == Warmup::Steps(0)
    }
}

/// How long.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Train {
    /// How often every sample is seen.
    pub epochs: u64,
    /// Batches whose gradients are summed before parameters move: as one batch of so many times the samples, in the memory of
    /// one and a sum of gradients. At the end of an epoch there may be fewer.
    pub accumulate: u64,
    /// The largest norm of all gradients together; larger ones are scaled down to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// In which precision training steps hold activations and multiply.
    #[serde(skip_serializing_if = "is_usual")]
    pub precision: Precision,
    /// What gradients are multiplied by at first in f16, if not as usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<f64>,
    /// Decay of an average of all parameters from update to update, which evaluations use in their place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Steps between two evaluations, besides those at the ends of epochs; 0 for none.
    pub eval_every_steps: u64,
    /// After how many evaluations in a row without a better one a run ends before its time; 0 for never.
    pub patience: u64,
    /// Whether to write TensorBoard event files.
    pub tensorboard: bool,
    /// Whether tiles that `frugal tune` measured on the adapter are taken.
    pub tuned: bool,
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
        let recipe = ops::UpdateConfig {
            optimizer: self.optimizer.operator(),
            clip_norm: clip_norm.map(|norm| norm as f32),
            accumulate: accumulate > 1,
            average: ema,
            loss_scale: (self.train.precision == Precision::F16).then_some(LossScale { start, ..usual }),
        };
        Training { loss: self.loss.operator(), recipe, mixed: self.data.augment.mixup.is_some() }
    }

    /// The settings as a file that gives them again.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("numbers, texts and tables can be written as TOML")
    }
}
