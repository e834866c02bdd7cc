//! What forms cost: points of the rate-distortion curves that `frugal compare configs/quickstart.toml` measures
//! (`docs/stores.md`). Their bits are not in here, since plans know the exact bytes.

use crate::config::CodecSpec;

/// A form, and what it does to the gradient of a weight that reads values in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub form: CodecSpec,
    /// Error over noise.
    pub error: f64,
    /// Passes over the elements that coding and decoding take, about.
    pub passes: f64,
}

/// What a pass over all kept elements costs, in shares of a gradient's variance. A store with few passes adds a tenth to
/// the time of a step, and a tenth more variance asks for up to a tenth more steps: time counts a hundredth of that, so
/// that it decides between forms that err alike, and hardly ever against a better gradient.
pub(super) const PASS: f64 = 1e-4;

/// Passes that make an element again: a norm with its rectifier, and decoding.
pub(super) const RECOMPUTE: f64 = 2.0;

/// Passes that slices along the batch take: what is decoded is decoded again in the next stretch, and sums are a pass of their own.
pub(super) const SLICED: f64 = 2.0;

/// What one of the points up to this one does not take, none does: f16 takes what is held in f32, the next what is not.
pub(super) const TAKES_ALL: usize = 2;

/// Raw, which everything can be, then the others.
pub(super) fn points() -> Vec<Point> {
    const MEASURED: &[(&str, f64, f64)] = &[
        ("raw", 0.0, 0.0),
        ("f16", 0.0002, 1.0),
        ("uniform:8", 0.003, 2.0),
        ("error-bounded:0.02", 0.019, 4.0),
        ("error-bounded:0.05", 0.047, 4.0),
        ("uniform:4", 0.052, 2.0),
        ("frequency-split:8,4", 0.075, 3.0),
        ("error-bounded:0.1", 0.1, 4.0),
        ("error-bounded:0.2", 0.183, 4.0),
        ("uniform:2", 0.26, 2.0),
        ("error-bounded:0.4", 0.367, 4.0),
        ("frequency-split:8,2", 0.39, 3.0),
        ("uniform:1", 0.75, 2.0),
    ];
    let point = |&(name, error, passes): &(&str, f64, f64)| Point {
        form: CodecSpec::parse(name).expect("the names of forms"),
        error,
        passes,
    };
    MEASURED.iter().map(point).collect()
}
