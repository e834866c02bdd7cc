//! What stores do to the gradients of weights.

use serde::Serialize;

/// Stores side by side: `gradient_error.json`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GradientStudy {
    /// Batches over which gradients were compared.
    pub batches: usize,
    /// The store whose run gave the weights; none if each store's own run did.
    pub weights: Option<String>,
    /// The stores of the comparison.
    pub stores: Vec<StudiedStore>,
    /// What codecs cost at several settings, at those weights.
    pub points: Vec<RatePoint>,
    /// Why something is missing, if it is.
    pub skipped: Option<String>,
}

/// What a store costs at given weights.
#[derive(Clone, Debug, Serialize)]
pub struct StudiedStore {
    /// Its label.
    pub store: String,
    /// For the weights of each convolution, in the order of the net.
    pub gradient: Vec<GradientError>,
    /// For each kept value that a codec encodes, over one batch.
    pub values: Vec<ValueError>,
}

/// What a store does to the gradient of one parameter.
#[derive(Clone, Debug, Serialize)]
pub struct GradientError {
    /// Its name.
    pub parameter: String,
    /// Rms of the gradient's error.
    pub error: f64,
    /// Deviation of the raw gradient from batch to batch.
    pub noise: f64,
}

/// What a store does to one kept value.
#[derive(Clone, Debug, Serialize)]
pub struct ValueError {
    /// Its name.
    pub name: String,
    /// The codec.
    pub form: String,
    /// Bytes of the value itself.
    pub raw_bytes: u64,
    /// Bytes of the form.
    pub stored_bytes: u64,
    /// The error that the codec promised for this value, if it promises a number.
    pub bound: Option<f64>,
    /// Share of tiles that are kept raw, if the codec has tiles.
    pub raw_share: Option<f64>,
    /// Largest |x̂ − x|.
    pub max_error: f64,
    /// Root of the mean of (x̂ − x)².
    pub rms_error: f64,
    /// The convolutions' weights whose gradients read it.
    pub weights: Vec<String>,
}

/// A codec on the inputs of all convolutions but the first, everything else raw: one point of a rate-distortion curve.
#[derive(Clone, Debug, Serialize)]
pub struct RatePoint {
    /// The codec's name.
    pub codec: String,
    /// The codec with its settings.
    pub store: String,
    /// 32 · stored bytes / raw bytes of those inputs.
    pub bits_per_value: f64,
    /// Mean over the convolutions but the first.
    pub error_over_noise: f64,
    /// The convolution with the largest.
    pub worst: f64,
    /// What the theory of codecs that follow the gradients says of each convolution's input.
    pub predictions: Vec<Prediction>,
}

/// The error that a coded value brings into a weight's gradient, by the theory and as it is: multiples of the noise.
#[derive(Clone, Debug, Serialize)]
pub struct Prediction {
    /// The value.
    pub value: String,
    /// Of the weights that it serves the one that suffers most: it is for this one that the bound is made.
    pub parameter: String,
    /// By the theory.
    pub predicted: f64,
    /// As it is.
    pub measured: f64,
}

impl GradientError {
    /// The currency: 0.1 adds a hundredth to the variance of the gradient.
    pub fn over_noise(&self) -> f64 {
        if self.error == 0.0 { 0.0 } else { self.error / self.noise }
    }

    /// Mean of error over noise; none of nothing.
    pub fn mean(errors: &[Self]) -> Option<f64> {
        let sum: f64 = errors.iter().map(Self::over_noise).sum();
        (!errors.is_empty()).then(|| sum / errors.len() as f64)
    }

    /// The largest error over noise.
    pub fn worst(errors: &[Self]) -> Option<&Self> {
        errors.iter().max_by(|a, b| a.over_noise().total_cmp(&b.over_noise()))
    }
}

impl StudiedStore {
    /// Mean of error over noise; none for a net without convolutions.
    pub fn error_over_noise(&self) -> Option<f64> {
        GradientError::mean(&self.gradient)
    }

    /// The layer that suffers most.
    pub fn worst(&self) -> Option<&GradientError> {
        GradientError::worst(&self.gradient)
    }
}
