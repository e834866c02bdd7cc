//! Means that are taken number by number.

use serde::{Deserialize, Serialize};

/// Means over an epoch.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Sums {
    loss: f64,
    correct: f64,
    counted: f64,
}

impl Sums {
    /// Adds a batch: its mean loss, and how many of the samples that count were right.
    pub fn add(&mut self, mean_loss: f32, correct: f32, counted: f32) {
        self.loss += f64::from(mean_loss) * f64::from(counted);
        self.correct += f64::from(correct);
        self.counted += f64::from(counted);
    }

    /// The sum of losses, and of how many samples.
    pub(crate) fn parts(&self) -> (f64, f64) {
        (self.loss, self.counted)
    }

    /// Mean over all samples.
    pub fn loss(&self) -> f64 {
        self.loss / self.counted.max(1.0)
    }

    /// Share that was right.
    pub fn accuracy(&self) -> f64 {
        self.correct / self.counted.max(1.0)
    }
}

/// A mean, taken number by number.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    /// Adds a number.
    pub fn add(&mut self, value: f64) {
        (self.sum, self.count) = (self.sum + value, self.count + 1);
    }

    /// The sum, and of how many.
    pub(crate) fn parts(&self) -> (f64, u64) {
        (self.sum, self.count)
    }

    /// The mean, or 0 of nothing.
    pub fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }
}
