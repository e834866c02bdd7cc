//! The measure of a run.

use serde::Serialize;

/// The measure of a run: what its best evaluation has most or least of, and what stores are compared by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// The share of right answers.
    #[default]
    Accuracy,
    /// The loss of images, which is their mean squared error.
    SquaredError,
    /// Another loss of images.
    Loss,
}

impl Measure {
    /// Whether it is the share of right answers.
    pub fn is_accuracy(self) -> bool {
        self == Self::Accuracy
    }

    /// What tables call it.
    pub fn name(self) -> &'static str {
        if self.is_accuracy() { "accuracy" } else { "loss" }
    }

    /// The peak signal-to-noise ratio of images with this loss, if it follows from that.
    pub fn psnr(self, loss: f64) -> Option<f64> {
        (self == Self::SquaredError).then(|| psnr(loss))
    }
}

/// The peak signal-to-noise ratio of a mean squared error, in dB: 10·log10(1 / error), as values go from 0 to 1.
pub fn psnr(squared_error: f64) -> f64 {
    -10.0 * squared_error.log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_range_is_twenty_decibels() {
        assert!((psnr(0.01) - 20.0).abs() < 1e-12);
        assert_eq!(Measure::SquaredError.psnr(1.0), Some(0.0));
        assert_eq!((Measure::Loss.psnr(0.5), Measure::Accuracy.psnr(0.5)), (None, None));
    }
}
