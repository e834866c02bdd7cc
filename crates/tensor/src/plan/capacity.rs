//! Capacities of data-sized values ([`DataSized`]): what steps used, and a little more.

use super::{Plan, PlanError};
use crate::codec::{CodingFacts, DataSized, SizeReport, Stored};
use std::ops::RangeInclusive;

/// By how much more of what is spared a small value gets at most.
const MOST_SHARE: f64 = 3.0;
/// Words that every capacity has besides.
const LEAST: usize = 64;
/// Measured over planned size from which on a plan counts as tight.
const TIGHT: f64 = 0.92;

/// Whether what a step made fitted its capacities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CapacityStatus {
    /// It did.
    Enough,
    /// It did, but little more would not.
    Tight,
    /// It did not: the step does not count.
    Exceeded,
}

impl Plan {
    /// The stored values whose size depends on the data.
    pub fn data_sized(&self) -> impl Iterator<Item = (&Stored, &dyn DataSized)> {
        self.stored.iter().filter_map(|stored| Some((stored, stored.data_sized.as_deref()?)))
    }

    /// Whether there are any.
    pub fn has_data_sized(&self) -> bool {
        self.data_sized().next().is_some()
    }

    /// What a step reports of each of them, from its metrics.
    pub fn size_reports(&self, metrics: &[u32]) -> Vec<SizeReport> {
        let report = |(_, data_sized): (&Stored, &dyn DataSized)| {
            let range = self.metric_range(data_sized.report()).expect("reports are read back");
            let words = metrics[range].to_vec();
            SizeReport { used: data_sized.used(&words), words }
        };
        self.data_sized().map(report).collect()
    }

    /// The words that may be planned for a data-sized value: at least one beyond the fixed ones, and at most what any data can ask
    /// for.
    pub fn capacities(&self, data_sized: &dyn DataSized) -> RangeInclusive<u64> {
        let fixed = data_sized.fixed_words() as u64;
        fixed + 1..=fixed + data_sized.most_words() as u64
    }

    /// Whether the values of a step fitted their capacities.
    pub fn capacity_status(&self, reports: &[SizeReport]) -> CapacityStatus {
        let status = |((stored, data_sized), report): ((&Stored, &dyn DataSized), &SizeReport)| {
            let capacity = (self.graph.shape(stored.kept).elements() - data_sized.fixed_words()) as f64;
            match f64::from(report.used) / capacity {
                fill if fill > 1.0 => CapacityStatus::Exceeded,
                fill if fill > TIGHT => CapacityStatus::Tight,
                _ => CapacityStatus::Enough,
            }
        };
        self.data_sized().zip(reports).map(status).max().unwrap_or(CapacityStatus::Enough)
    }

    /// The same plan with capacities `margin` times as large as what these reports say. Of what is spared, a value that is `n` times
    /// smaller than the mean of all gets √n as much, up to three times: it costs next to nothing, and a step is done again for
    /// a small value as for a large one.
    ///
    /// # Errors
    /// As [`Plan::resized`].
    pub fn with_capacity(&self, reports: &[SizeReport], margin: f64) -> Result<Plan, PlanError> {
        let all: f64 = reports.iter().map(|report| f64::from(report.used)).sum();
        let mean = all / reports.len().max(1) as f64;
        let size = |((stored, data_sized), report): ((&Stored, &dyn DataSized), &SizeReport)| {
            (stored.kept, data_sized.fixed_words() + capacity(report.used.into(), mean, margin))
        };
        self.resized(&self.data_sized().zip(reports).map(size).collect::<Vec<_>>())
    }

    /// What these reports say of the coding of each value.
    pub fn coding_facts(&self, reports: &[SizeReport]) -> Vec<CodingFacts> {
        self.data_sized().zip(reports).map(|((_, data_sized), report)| data_sized.facts(&report.words)).collect()
    }

    /// Bytes that each of them used in a step, without what was planned in vain.
    pub fn used_bytes(&self, reports: &[SizeReport]) -> Vec<u64> {
        let used = |((_, data_sized), report): ((&Stored, &dyn DataSized), &SizeReport)| {
            4 * (data_sized.fixed_words() as u64 + u64::from(report.used))
        };
        self.data_sized().zip(reports).map(used).collect()
    }
}

/// Words to plan for a value that used `used` where the mean of all used `mean`.
fn capacity(used: f64, mean: f64, margin: f64) -> usize {
    let share = (mean / used.max(1.0)).sqrt().clamp(1.0, MOST_SHARE);
    (used * (1.0 + (margin - 1.0) * share)) as usize + LEAST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_values_have_more_to_spare_than_large_ones() {
        let spared = |used: f64| (capacity(used, 1600.0, 1.25) - LEAST) as f64 / used - 1.0;
        for (used, wanted) in [(16_000.0, 0.25), (1600.0, 0.25), (400.0, 0.5), (100.0, 0.75), (16.0, 0.75)] {
            assert_eq!(spared(used), wanted, "{used} words");
        }
        assert_eq!(capacity(0.0, 0.0, 1.25), LEAST);
    }
}
