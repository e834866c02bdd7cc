//! A step in several slicings along the batch: what each allocates and how long it takes.

use crate::records::{AdapterFacts, Spread};
use serde::Serialize;
use std::fmt;

/// A way to slice a step.
#[derive(Clone, Debug, Serialize)]
pub struct SlicesRow {
    /// As a config says it: `off`, `auto`, `least` or a number.
    pub slices: String,
    /// Bytes that a run allocates so, evaluation included.
    pub peak: u64,
    /// Dispatches of a step.
    pub dispatches: usize,
    /// Milliseconds of a step.
    pub milliseconds: Spread,
    /// Time beside the first row, the median of ratios of steps that ran one after the other.
    pub ratio: f64,
}

/// A step in several slicings, measured in turns.
#[derive(Clone, Debug, Serialize)]
pub struct SlicesReport {
    /// The net.
    pub net: String,
    /// Samples per step.
    pub batch: usize,
    /// The store, by its label.
    pub store: String,
    /// The adapter.
    pub adapter: AdapterFacts,
    /// The family of kernels.
    pub kernels: String,
    /// Steps that count.
    pub steps: usize,
    /// A row for each.
    pub rows: Vec<SlicesRow>,
}

impl fmt::Display for SlicesReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { net, batch, store, adapter, kernels, steps, rows } = self;
        writeln!(f, "a step of {net}, batch {batch}, {store}, in slices along the batch")?;
        writeln!(f, "{}; kernels: {kernels}; {steps} steps of each, in turns\n", adapter.name)?;
        let header = ["slices", "peak", "times less", "dispatches", "ms per step", "time"];
        let mut table = super::table(&header, 1..6);
        let first = rows.first().map_or(0, |row| row.peak);
        for row in rows {
            table.add_row([
                row.slices.clone(),
                super::bytes(row.peak),
                format!("{:.2}", first as f64 / row.peak.max(1) as f64),
                super::count(row.dispatches as u64),
                format!("{:.1}", row.milliseconds.median),
                format!("{:+.1} %", 100.0 * (row.ratio - 1.0)),
            ]);
        }
        write!(f, "{}\n\npeak: what a run allocates, evaluation included; time: beside the first row", table.trim_fmt())
    }
}
