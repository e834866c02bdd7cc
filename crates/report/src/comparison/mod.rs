//! Stores side by side: what each saves, what it costs in accuracy, or loss, and time.

mod tables;
mod words;

pub use tables::{Cells, budget};

use crate::convolutions::Convolutions;
use crate::largest_batch::LargestBatch;
use crate::plan::PlanReport;
use crate::records::{Discarded, Divergence, median};
use crate::records::{GradientStudy, StudiedStore};
use crate::records::{Measure, Summary};
use serde::Serialize;

/// A comparison of stores.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Name of the config.
    pub name: String,
    /// The data set.
    pub set: String,
    /// The net.
    pub net: String,
    /// Samples per step.
    pub batch: usize,
    /// Epochs of each run.
    pub epochs: u64,
    /// The measure of its runs.
    pub measure: Measure,
    /// Seeds of each store.
    pub seeds: Vec<u32>,
    /// The adapter.
    pub adapter: String,
    /// Bytes for which the largest batch was sought.
    pub budget: u64,
    /// A row per store, in the order of the config.
    pub stores: Vec<Row>,
}

/// A store over all its seeds. What is measured is absent if no run reached its end.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its label.
    pub store: String,
    /// Mean share of right answers on the test set, from 0 to 1, if the net names classes.
    pub test_accuracy: Option<f64>,
    /// Sample standard deviation over the seeds; absent for one seed.
    pub test_accuracy_deviation: Option<f64>,
    /// Mean over the test set.
    pub test_loss: Option<f64>,
    /// Sample standard deviation over the seeds; absent for one seed.
    pub test_loss_deviation: Option<f64>,
    /// Mean over the last epochs.
    pub train_loss: Option<f64>,
    /// Median over the seeds of the median step.
    pub milliseconds_per_step: Option<f64>,
    /// Share of time per step beyond raw's; absent where raw was not run.
    pub overhead: Option<f64>,
    /// Where its bytes go.
    #[serde(flatten)]
    pub memory: Memory,
    /// Of a store whose sizes follow the data: what overflowed and was done again, in all its runs.
    pub discarded: Option<Discarded>,
    /// What it does to gradients, if that was measured.
    pub gradient_error: Option<GradientError>,
    /// Runs that did not reach their end.
    pub diverged: Vec<Divergence>,
}

/// Where a store's bytes go.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Memory {
    /// What a run allocates.
    pub peak_bytes: u64,
    /// Raw peak over peak.
    pub peak_ratio: f64,
    /// Bytes that the forward pass saves for the backward pass, masks and tables included.
    pub kept_bytes: u64,
    /// Raw kept bytes over kept bytes.
    pub kept_ratio: f64,
    /// The same for the saved inputs of convolutions; absent if nothing does but the images.
    pub kept_ratio_convolutions: Option<f64>,
    /// What convolutions read, in bytes.
    pub convolutions: Convolutions,
    /// The largest batch whose run fits the budget, on any adapter; none if not even one sample fits.
    pub largest_batch: Option<usize>,
}

/// The error that a store brings into weights' gradients, as a multiple of how much they differ between minibatches.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GradientError {
    /// Mean over the weights.
    pub mean: f64,
    /// Of the weight that suffers most.
    pub worst: f64,
    /// Its name.
    pub worst_parameter: String,
}

impl Memory {
    /// From the plan of a run, with what was [measured](PlanReport::measured), and the largest batch.
    pub fn new(plan: &PlanReport, fit: &LargestBatch) -> Self {
        Self {
            peak_bytes: plan.bytes.peak,
            peak_ratio: plan.peak_ratio(),
            kept_bytes: plan.bytes.kept,
            kept_ratio: plan.ratio(),
            kept_ratio_convolutions: plan.convolutions.ratio(),
            convolutions: plan.convolutions,
            largest_batch: fit.batch,
        }
    }
}

impl Row {
    /// From where a store's bytes go and from its runs.
    pub fn new(store: String, memory: Memory, runs: &[Result<Summary, Divergence>]) -> Self {
        let finished: Vec<&Summary> = runs.iter().filter_map(|run| run.as_ref().ok()).collect();
        let count = finished.len();
        let all = |f: &dyn Fn(&Summary) -> Option<f64>| finished.iter().map(|run| f(run)).collect::<Option<Vec<f64>>>();
        let (test_accuracy, test_accuracy_deviation) = mean_and_deviation(all(&|run| run.test_accuracy));
        let (test_loss, test_loss_deviation) = mean_and_deviation(all(&|run| Some(run.test_loss)));
        let mut milliseconds: Vec<f64> = finished.iter().map(|run| 1e3 * run.seconds_per_step).collect();
        Self {
            store,
            test_accuracy,
            test_accuracy_deviation,
            test_loss,
            test_loss_deviation,
            train_loss: mean_and_deviation(all(&|run| Some(run.train_loss))).0,
            milliseconds_per_step: (count > 0).then(|| median(&mut milliseconds)),
            overhead: None,
            memory,
            discarded: discarded(&finished),
            gradient_error: None,
            diverged: runs.iter().filter_map(|run| run.as_ref().err().cloned()).collect(),
        }
    }
}

/// The mean, and the sample standard deviation of more than one.
fn mean_and_deviation(values: Option<Vec<f64>>) -> (Option<f64>, Option<f64>) {
    let Some(values) = values.filter(|values| !values.is_empty()) else { return (None, None) };
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (Some(mean), (count > 1.0).then(|| (squares / (count - 1.0)).sqrt()))
}

/// Sums over runs; none if sizes do not follow the data.
fn discarded(runs: &[&Summary]) -> Option<Discarded> {
    let all = runs.iter().filter_map(|run| Some(run.coded.as_ref()?.discarded));
    all.reduce(|a, b| Discarded { overflows: a.overflows + b.overflows, steps: a.steps + b.steps })
}

impl GradientError {
    /// Over all weights of a study of gradient errors whose gradients differ between minibatches at all.
    pub fn new(studied: &StudiedStore) -> Option<Self> {
        let weights = studied.gradient.iter().filter(|weight| weight.noise > 0.0);
        let ratios: Vec<(f64, &str)> = weights.map(|w| (w.error / w.noise, w.parameter.as_str())).collect();
        let (worst, name) = ratios.iter().max_by(|a, b| a.0.total_cmp(&b.0))?;
        let mean = ratios.iter().map(|(ratio, _)| ratio).sum::<f64>() / ratios.len() as f64;
        Some(Self { mean, worst: *worst, worst_parameter: (*name).to_owned() })
    }
}

impl Comparison {
    /// With what only shows beside each other: time against raw's, and what examinations say of each store.
    pub fn related(mut self, study: &GradientStudy) -> Self {
        let raw = self.raw().and_then(|raw| raw.milliseconds_per_step);
        // A row's label may say how many rules there are besides.
        let form = |label: &str| label.split(" + ").next().map(str::to_owned);
        for row in &mut self.stores {
            row.overhead = row.milliseconds_per_step.zip(raw).map(|(time, raw)| time / raw - 1.0);
            let studied = study.stores.iter().find(|e| form(&e.store) == form(&row.store));
            row.gradient_error = studied.and_then(GradientError::new);
        }
        self
    }

    /// What the others are measured against, if it is there.
    pub fn raw(&self) -> Option<&Row> {
        self.stores.iter().find(|row| row.store == "raw")
    }

    /// How many runs did not reach their end, and how many there were.
    pub fn diverged(&self) -> (usize, usize) {
        let diverged = self.stores.iter().map(|row| row.diverged.len()).sum();
        (diverged, self.stores.len() * self.seeds.len())
    }
}
