//! What was chosen for a budget.

use serde::Serialize;

/// What was chosen for a budget, and what it is worth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chosen {
    /// What was requested, in bytes.
    pub budget: u64,
    /// What the run allocates, in bytes.
    pub peak: u64,
    /// What is recomputed.
    pub recompute: &'static str,
    /// Estimated error over noise, rms over the weights that read the values.
    pub error_over_noise: f64,
    /// That squared, and a small price for time.
    pub cost: f64,
    /// What every form would come to if all values that take it had it.
    pub singles: Vec<Single>,
    /// The values whose forms were open, by their forms.
    pub forms: Vec<Share>,
}

/// A store with one form, by the same estimate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Single {
    /// Its label.
    pub store: String,
    /// What a run would allocate, in bytes.
    pub peak: u64,
    /// Estimated error over noise.
    pub error_over_noise: f64,
    /// That squared, and a small price for time.
    pub cost: f64,
}

impl Chosen {
    /// The single store within the budget that costs least; none if none is.
    pub fn best_single(&self) -> Option<&Single> {
        let within = self.singles.iter().filter(|single| single.peak <= self.budget);
        within.min_by(|a, b| a.cost.total_cmp(&b.cost))
    }
}

/// The values in one form.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// The form with its settings.
    pub form: String,
    /// How many.
    pub values: usize,
    /// Their own bytes.
    pub raw_bytes: u64,
    /// What is saved of them, in bytes, with masks beside them.
    pub stored_bytes: u64,
}
