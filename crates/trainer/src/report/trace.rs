//! The course of a run, from the records that it left.

use crate::run::record::{EpochRecord, Record, StoreRecord};
use crate::terminal;
use std::path::Path;

/// The course of a run.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The store, by its label.
    pub store: String,
    /// Each training step and its loss.
    pub losses: Vec<(u64, f64)>,
    /// Each epoch.
    pub epochs: Vec<EpochRecord>,
    /// Steps at which sizes were written down.
    pub stores: Vec<(u64, Vec<StoreRecord>)>,
}

impl Trace {
    /// From records.
    pub fn new(store: &str, records: impl IntoIterator<Item = Record>) -> Self {
        let mut trace = Self { store: store.to_owned(), ..Self::default() };
        for record in records {
            match record {
                Record::Step(step) => trace.losses.push((step.step, step.loss.into())),
                Record::Epoch(epoch) => trace.epochs.push(epoch),
                Record::Stores { step, values } => trace.stores.push((step, values)),
                Record::Evaluation(_) | Record::Stopped { .. } => {}
            }
        }
        trace
    }

    /// From a run's `metrics.jsonl`. What cannot be read costs points of a curve, and a warning; it must not cost the tables.
    pub fn read(store: &str, path: &Path) -> Self {
        let bytes = frugal_data::input::read(path, u64::MAX).unwrap_or_else(|error| {
            terminal::warn(format_args!("cannot read {}: {error}; its curve is missing", path.display()));
            Vec::new()
        });
        let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let records: Vec<Option<Record>> = lines.map(|line| serde_json::from_slice(line).ok()).collect();
        let unreadable = records.iter().filter(|record| record.is_none()).count();
        if unreadable > 0 {
            terminal::warn(format_args!(
                "{unreadable} lines of {} cannot be read; their points are missing",
                path.display()
            ));
        }
        Self::new(store, records.into_iter().flatten())
    }
}
