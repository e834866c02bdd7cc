//! What a run writes down: a line per step and epoch, and the summary.

use super::{AdapterFacts, Evaluation};
use frugal_tensor::plan::Bytes;
use serde::{Deserialize, Serialize};

/// A line of `metrics.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Record {
    /// After each step.
    Step(StepRecord),
    /// After each epoch.
    Epoch(EpochRecord),
    /// After an evaluation within an epoch; means are over the epoch so far.
    Evaluation(EpochRecord),
    /// Now and then, for stores whose sizes change with the values.
    Stores {
        /// Counts from 1.
        step: u64,
        /// Each value whose size changes.
        values: Vec<StoreRecord>,
    },
    /// If the run ended before its time.
    Stopped {
        /// Why.
        reason: String,
    },
}

/// A training step.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct StepRecord {
    /// Counts from 1.
    pub step: u64,
    /// Counts from 1.
    pub epoch: u64,
    /// Mean over the batch.
    pub loss: f32,
    /// Share of the batch that was right, if the net names classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f32>,
    /// Of this step.
    pub learning_rate: f32,
    /// What gradients were multiplied by, in f16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<f32>,
    /// Whether gradients were not finite with that scale, so that the step moved nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// At the pace of this step.
    pub samples_per_second: f64,
    /// How long the loop waited for the batch, in milliseconds.
    pub data_wait_ms: f64,
}

/// An epoch.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counts from 1.
    pub epoch: u64,
    /// Steps done so far.
    pub step: u64,
    /// Mean over the epoch, while the net was changing.
    pub train_loss: f64,
    /// Share of right answers over the epoch, while the net was changing, if it names classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_accuracy: Option<f64>,
    /// Mean over what is held out for validation, if anything is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_loss: Option<f64>,
    /// Share of correct predictions on what is held out for validation, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
    /// Peak signal-to-noise ratio on what is held out for validation, in dB, if the loss is the squared error of images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_psnr: Option<f64>,
    /// Area under the receiver operating characteristic on what is held out for validation, of rows of two classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_auc: Option<f64>,
    /// Share of the variance that is explained on what is held out for validation, if numbers are predicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_r_squared: Option<f64>,
    /// Mean over the test set: after the last epoch, and after each one where nothing is held out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_loss: Option<f64>,
    /// Share of correct predictions on the test set, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_accuracy: Option<f64>,
    /// Peak signal-to-noise ratio on the test set, in dB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_psnr: Option<f64>,
    /// Area under the receiver operating characteristic on the test set, of rows of two classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_auc: Option<f64>,
    /// Share of the variance that is explained on the test set, if numbers are predicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_r_squared: Option<f64>,
    /// Seconds, with the evaluation.
    pub seconds: f64,
}

impl EpochRecord {
    /// Share of correct predictions on what the run is watched by: what is held out for validation, or else the test set.
    pub fn watched_accuracy(&self) -> Option<f64> {
        self.validation_accuracy.or(self.test_accuracy)
    }

    /// That share, or the loss on the same if the net names no classes.
    pub fn watched(&self) -> Option<f64> {
        self.watched_accuracy().or(self.validation_loss).or(self.test_loss)
    }

    /// Whether it is better than another evaluation of the run: by a higher accuracy, or else by a lower loss.
    pub fn beats(&self, other: &EpochRecord) -> bool {
        match (self.watched_accuracy(), other.watched_accuracy()) {
            (None, None) => self.watched().zip(other.watched()).is_some_and(|(own, other)| own < other),
            (own, other) => own > other,
        }
    }
}

/// The form of a value at some step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoreRecord {
    /// The value.
    pub name: String,
    /// `error-bounded` …
    pub form: String,
    /// Bytes of the value itself.
    pub raw_bytes: u64,
    /// Bytes of the form at this step.
    pub stored_bytes: u64,
    /// What no element's error exceeds, if the form promises that.
    pub bound: Option<f64>,
    /// Share of elements that are not zero, if the form counts them.
    pub density: Option<f64>,
    /// Share of tiles that are kept raw, because coding would not shrink them or not keep to the bound, if the form has tiles.
    pub raw_share: Option<f64>,
}

/// What came out: `summary.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Name of the run.
    pub name: String,
    /// Its seed.
    pub seed: u32,
    /// The store, by its label.
    pub store: String,
    /// What was minimised: the loss of which `train_loss`, `validation_loss` and `test_loss` are means. The cross-entropy of
    /// `evaluation` is the plain one, without label smoothing.
    #[serde(default)]
    pub loss: String,
    /// Share of correct predictions on the test set after the last epoch, from 0 to 1, if the net names classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_accuracy: Option<f64>,
    /// Mean over the test set after the last epoch.
    pub test_loss: f64,
    /// Peak signal-to-noise ratio of that, in dB, if it is the squared error of images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_psnr: Option<f64>,
    /// Share of correct predictions on what is held out for validation after the last epoch, if anything is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
    /// Mean over what is held out for validation after the last epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_loss: Option<f64>,
    /// Mean over the last epoch.
    pub train_loss: f64,
    /// Training steps done.
    pub steps: u64,
    /// Whether the run ended before its time, because evaluations no longer became better.
    pub stopped_early: bool,
    /// The step with the best evaluation, and its share of right answers, or its loss if the net names no classes: on what is
    /// held out for validation, or else on the test set.
    pub best: (u64, f64),
    /// Evaluations after the best one. Older summaries do not have it.
    #[serde(default)]
    pub since_best: Option<u64>,
    /// The median, without the first steps of each epoch, times all steps over those that count: some are done again where sizes
    /// follow the data ([`Coded::discarded`]).
    pub seconds_per_step: f64,
    /// How long the loop waited for a batch: the mean over all steps, in milliseconds.
    pub data_wait_ms: f64,
    /// All of the run.
    pub seconds: f64,
    /// Where the bytes go.
    pub bytes: RunBytes,
    /// What forms took whose sizes depend on the data, if the store has any.
    pub coded: Option<Coded>,
    /// The adapter.
    pub adapter: AdapterFacts,
    /// How well the net does on the test set in the end, class by class.
    pub evaluation: Option<Evaluation>,
}

/// What forms took whose sizes depend on the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coded {
    /// Each of the values.
    pub values: Vec<CodedValue>,
    /// The most that all of them took in a step.
    pub most_bytes: u64,
    /// What was done again because it overflowed.
    pub discarded: Discarded,
}

/// A value in a form whose size depends on the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodedValue {
    /// The value.
    pub name: String,
    /// Bytes of the value itself.
    pub raw_bytes: u64,
    /// Mean over the training steps.
    pub mean_bytes: u64,
    /// What was planned for it in the end.
    pub planned_bytes: u64,
}

/// Steps that were done again, because what they stored overflowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discarded {
    /// How often a capacity was exceeded.
    pub overflows: u64,
    /// Steps that were done again for it, those that were on their way included.
    pub steps: u64,
}

impl Discarded {
    /// Steps that were done for each of so many that count.
    pub fn steps_done_per_step(self, steps: u64) -> f64 {
        1.0 + self.steps as f64 / steps.max(1) as f64
    }
}

/// A run whose loss was no longer a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Divergence {
    /// Its seed.
    pub seed: u32,
    /// Counts from 1.
    pub step: u64,
    /// The first value that is not finite.
    pub finding: String,
}

/// Planned and counted bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunBytes {
    /// What the plan says.
    #[serde(flatten)]
    pub planned: Bytes,
    /// What the session had allocated in the end; the same as `peak`.
    pub allocated: u64,
    /// The most that it ever had: more, where sizes follow the data.
    pub most_allocated: u64,
    /// By how much wgpu's own count of buffer memory fell when the session went; drivers may round up.
    pub counted_by_wgpu: u64,
}

/// The median, or 0 of nothing.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}
