//! What runs measured, in the place of what was planned before them.

use super::convolutions::Convolutions;
use super::plan::PlanReport;
use crate::records::CodedValue;
use crate::records::Summary;
use frugal_tensor::plan::{Bytes, KeptValue};
use std::collections::BTreeMap;

/// A mean that is taken bit by bit.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: u64,
    count: u64,
}

impl Mean {
    fn add(&mut self, value: u64) {
        (self.sum, self.count) = (self.sum + value, self.count + 1);
    }

    fn get(self) -> u64 {
        self.sum / self.count.max(1)
    }
}

/// Bytes that were planned for a value in the end, and bytes that it took.
#[derive(Clone, Copy, Debug, Default)]
struct Sizes {
    planned: Mean,
    used: Mean,
}

impl PlanReport {
    /// With what these runs measured where sizes follow the data: kept bytes are those that were planned in the end (the mean
    /// over runs), what convolutions read counts with the bytes that it took (the mean over training), and the peak is
    /// the most that any of the runs had. Other plans stay as they are: runs follow them to the byte.
    pub fn measured(mut self, runs: &[&Summary]) -> Self {
        let mut sizes: BTreeMap<&str, Sizes> = BTreeMap::new();
        for CodedValue { name, planned_bytes, mean_bytes, .. } in
            runs.iter().filter_map(|run| run.coded.as_ref()).flat_map(|coded| &coded.values)
        {
            let sizes = sizes.entry(name).or_default();
            sizes.planned.add(*planned_bytes);
            sizes.used.add(*mean_bytes);
        }
        let Some(first) = runs.first().filter(|_| !sizes.is_empty()) else { return self };
        // A mask beside a coded value has the same name.
        let measured = |kept: &KeptValue| sizes.get(kept.name.as_str()).filter(|_| kept.follows_data);
        for layer in &mut self.layers {
            for kept in &mut layer.kept {
                kept.stored_bytes = measured(kept).map_or(kept.stored_bytes, |sizes| sizes.planned.get());
            }
            layer.kept_bytes = layer.kept.iter().map(|kept| kept.stored_bytes).sum();
        }
        let used = |kept: &KeptValue| measured(kept).map_or(kept.stored_bytes, |sizes| sizes.used.get());
        self.convolutions = Convolutions::of(self.layers.iter().flat_map(|layer| &layer.kept), used);
        let mut kept = Mean::default();
        runs.iter().for_each(|run| kept.add(run.bytes.planned.kept));
        let peak = runs.iter().map(|run| run.bytes.most_allocated).max().unwrap_or(0);
        let Bytes { peak_raw, host, .. } = self.bytes;
        self.bytes = Bytes { kept: kept.get(), peak, peak_raw, host, ..first.bytes.planned };
        self.kept_per_sample.stored = self.bytes.kept.div_ceil(self.batch as u64);
        self
    }
}
