//! What a store costs, in one currency: the error that it brings into the gradients of weights, beside the noise that
//! they have anyway.
//!
//! A mini-batch's gradient is an estimate; over K batches at the same weights it varies. A store that adds a tenth of that
//! deviation adds a hundredth to the variance of the step, whatever the codec. So for each convolution, at fixed weights
//! and over the same K batches:
//!
//! * error: rms, over weights and batches, of the gradient with the store less the gradient with everything raw;
//! * noise: rms, over weights, of the deviation of the raw gradient from batch to batch.
//!
//! Nothing moves meanwhile: the step that is examined has no update. It runs through a session over a plan like any
//! other step, so what is measured is what trains, for every codec.

mod bench;
mod runs;
mod step;

pub use bench::Study;
pub use runs::{StudiedRun, study_runs};

/// K: batches over which gradients are compared.
pub const BATCHES: usize = 8;

/// The forms of the rate-distortion points.
pub const POINTS: &[&str] = &[
    "f16",
    "float8",
    "uniform:1",
    "uniform:2",
    "uniform:4",
    "uniform:8",
    "frequency-split:8,1",
    "frequency-split:8,2",
    "frequency-split:8,4",
    "error-bounded:0.02",
    "error-bounded:0.05",
    "error-bounded:0.1",
    "error-bounded:0.2",
    "error-bounded:0.4",
];
