//! Stores side by side: the largest batch that fits.

use super::units::{bytes, largest_batch};
use serde::Serialize;
use std::fmt;

/// The largest batch that is tried.
pub const MOST_SAMPLES: usize = 1 << 20;

/// What fits of a store.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LargestBatch {
    /// The store, by its label.
    pub store: String,
    /// The largest batch; none if not even one sample fits.
    pub batch: Option<usize>,
    /// What the run allocates with that batch, or else with one sample.
    pub peak: u64,
    /// What of the peak lies in host-visible memory: upload and read-back buffers. The rest is the device's.
    pub host: u64,
    /// What is saved of a sample for the backward pass.
    pub kept_per_sample: u64,
}

/// The largest batch of each store.
#[derive(Clone, Debug, Serialize)]
pub struct LargestBatchReport {
    /// The net.
    pub net: &'static str,
    /// Channels, height and width of an image.
    pub shape: Vec<usize>,
    /// What the samples are, in words.
    #[serde(skip)]
    pub samples: String,
    /// Number of classes.
    pub classes: usize,
    /// Bytes to fit into.
    pub limit: u64,
    /// A row for each store.
    pub stores: Vec<LargestBatch>,
}

impl fmt::Display for LargestBatchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { net, classes, samples, limit, stores, .. } = self;
        let limit = bytes(*limit);
        writeln!(f, "{net} on {samples}, {classes} classes: largest batch in {limit}\n")?;
        let raw = stores.iter().find(|fit| fit.store == "raw").and_then(|fit| fit.batch);
        let header = ["store", "largest batch", "against raw", "peak", "of it host", "kept per sample"];
        let mut table = super::table(&header, 1..header.len());
        for fit in stores {
            let (batch, peak) = match fit.batch {
                Some(batch) => (largest_batch(batch), bytes(fit.peak)),
                None => ("none".to_owned(), format!("{} for one sample", bytes(fit.peak))),
            };
            let against = match (fit.batch, raw) {
                (Some(batch), Some(raw)) => format!("{:.2}×", batch as f64 / raw as f64),
                _ => "–".to_owned(),
            };
            table.add_row([fit.store.clone(), batch, against, peak, bytes(fit.host), bytes(fit.kept_per_sample)]);
        }
        write!(
            f,
            "{}\n\npeak: all that a run with that batch allocates; drivers and other programs need some memory besides\n\
             host: the part of it in host-visible memory, upload and read-back buffers; the rest is the device's",
            table.trim_fmt()
        )
    }
}
