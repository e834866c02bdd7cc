//! What a store does to gradients: the structs that reports read.

use serde::Serialize;

/// Stores side by side.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Examinations {
    /// Batches over which gradients were compared.
    pub batches: usize,
    /// The store whose run gave the weights; none if each store's own run did.
    pub weights: Option<String>,
    /// The stores of the comparison.
    pub stores: Vec<Examination>,
    /// What codecs cost at several settings, at those weights.
    pub points: Vec<RatePoint>,
    /// Why something is missing, if it is.
    pub skipped: Option<String>,
}

/// What a store does to one step.
#[derive(Clone, Debug, Serialize)]
pub struct Examination {
    /// The store, by its label.
    pub store: String,
    /// Each trained weight.
    pub gradient: Vec<GradientError>,
    /// Each kept value.
    pub values: Vec<ValueError>,
}

/// A weight's gradient.
#[derive(Clone, Debug, Serialize)]
pub struct GradientError {
    /// The weight.
    pub parameter: String,
    /// Root mean square of what the store changes of it.
    pub error: f64,
    /// Root mean square of how it differs between minibatches.
    pub noise: f64,
}

/// A kept value.
#[derive(Clone, Debug, Serialize)]
pub struct ValueError {
    /// The value.
    pub name: String,
    /// `raw`, `mask`, `frequency-split` …
    pub form: String,
    /// Bytes of the value itself.
    pub raw_bytes: u64,
    /// Bytes of the form.
    pub stored_bytes: u64,
    /// What no element's error exceeds, if the form promises that.
    pub bound: Option<f64>,
    /// Largest error of an element.
    pub max_error: f64,
    /// Root mean square of the elements' errors.
    pub rms_error: f64,
}

/// A point of a rate-distortion curve.
#[derive(Clone, Debug, Serialize)]
pub struct RatePoint {
    /// The curve.
    pub codec: String,
    /// The store, by its label.
    pub store: String,
    /// Stored bits of a value.
    pub bits_per_value: f64,
    /// Gradient error over minibatch noise, mean over the weights.
    pub error_over_noise: f64,
    /// The same of the worst weight.
    pub worst: f64,
}
