//! The sections `loss`, `optimizer`, `schedule`, `train` and `checkpoint`: how parameters are trained, and what is kept of it.

use frugal_model::Task;
use frugal_tensor::ir::Precision;
use frugal_tensor::ops::loss::{self, ElementLoss};
use frugal_tensor::ops::optimizer::{self as ops, StateForm};
use serde::Serialize;
use std::fmt;

fn is_usual<T: Default + PartialEq>(setting: &T) -> bool {
    *setting == T::default()
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

/// How parameters move, and in which form what that needs is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Update {
    /// The rule.
    #[serde(flatten)]
    pub rule: Optimizer,
    /// In which form momentum and other moments of gradients are kept.
    #[serde(skip_serializing_if = "is_usual")]
    pub state: StateForm,
}

/// The rule by which parameters move.
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
    pub(super) fn least(&self) -> f64 {
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
