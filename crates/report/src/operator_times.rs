//! How long operators take, as a report.

use super::tuning::tuned;
use super::units::bytes;
use crate::records::AdapterFacts;
use crate::records::{Bound, Roofline, Spread};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How long operators take, beside what the adapter can do at all.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OperatorsReport {
    /// The adapter.
    pub adapter: AdapterFacts,
    /// The family of kernels: `gpu` or `cpu`.
    pub kernels: String,
    /// How many choices of tiles were measured on the adapter, if `frugal tune` was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tiles: Option<usize>,
    /// Samples of each figure.
    pub samples: usize,
    /// What the adapter can do at all.
    pub roofline: Roofline,
    /// Operators, in the order of the layers.
    pub rows: Vec<Row>,
}

/// An operator on a layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// A net and its layer.
    pub layer: String,
    /// What is done.
    pub operator: String,
    /// Extents of the largest value that it reads or makes.
    pub shape: Vec<usize>,
    /// Dispatches.
    pub dispatches: usize,
    /// Of one time.
    pub milliseconds: Spread,
    /// Of what it reads and makes, each once.
    pub bytes: u64,
    /// Multiply-adds, as the field counts them.
    pub multiply_adds: u64,
    /// What it cannot beat.
    pub bound: Bound,
    /// What that takes.
    pub floor_milliseconds: f64,
    /// That over what it takes at its best: 1 could not be better.
    pub share_of_floor: f64,
    /// Its multiply-adds per second at its best over those of the best matrix product; none if it has no multiply-adds.
    pub share_of_product: Option<f64>,
    /// Of a dense convolution, what the matrix product of the same size takes over what it takes, both at their best.
    pub share_of_same_product: Option<f64>,
}

impl Row {
    /// What it does per second of what bounds it.
    fn rate(&self) -> String {
        let seconds = self.milliseconds.median * 1e-3;
        match self.bound {
            Bound::Memory => format!("{:.1} GB/s", self.bytes as f64 * 1e-9 / seconds),
            Bound::Arithmetic => format!("{:.1} GFLOP/s", 2e-9 * self.multiply_adds as f64 / seconds),
        }
    }
}

impl fmt::Display for OperatorsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { adapter, kernels, tiles, samples, roofline, rows } = self;
        writeln!(
            f,
            "operators on {}, kernels: {kernels}{}; medians of {samples} samples\n",
            adapter.name,
            tuned(*tiles)
        )?;
        writeln!(f, "roofline")?;
        for copied in &roofline.copies {
            let milliseconds = copied.milliseconds.least;
            let rate = copied.bytes as f64 * 1e-6 / milliseconds;
            let size = bytes(copied.bytes);
            writeln!(f, "  copy           {rate:9.1} GB/s      {size} read and written in {milliseconds:.3} ms")?;
        }
        let Roofline { multiply_adds, product, .. } = roofline;
        writeln!(f, "  multiply-adds  {:9.1} GFLOP/s   {}", multiply_adds.gflops, multiply_adds.by)?;
        writeln!(f, "  matrix product {:9.1} GFLOP/s   {}\n", product.gflops, product.by)?;

        let header = ["layer", "operator", "on", "ms", "quartiles", "rate", "of roofline", "of product"];
        let mut table = super::table(&header, 3..8);
        let mut above = "";
        for row in rows {
            let Spread { lower, median, upper, .. } = row.milliseconds;
            let percent = |share: f64| format!("{:.0} %", 100.0 * share);
            let of_best = row.share_of_product.filter(|_| row.bound == Bound::Arithmetic);
            let product = row.share_of_same_product.or(of_best);
            // The layer is said once.
            let layer = if above == row.layer { String::new() } else { row.layer.clone() };
            above = &row.layer;
            let extents: Vec<String> = row.shape.iter().map(usize::to_string).collect();
            table.add_row([
                layer,
                row.operator.clone(),
                extents.join("×"),
                format!("{median:.3}"),
                format!("{lower:.3}–{upper:.3}"),
                row.rate(),
                percent(row.share_of_floor),
                product.map_or("–".to_owned(), percent),
            ]);
        }
        write!(
            f,
            "{}\n\nof roofline: what a copy of as many bytes, or as many multiply-adds in registers, would take, over what it \
             takes at its best\nof product: of a dense convolution what the matrix product of its size takes, over what it takes, both at \
             their best; else\n  multiply-adds per second over those of the best matrix product above",
            table.trim_fmt()
        )
    }
}
