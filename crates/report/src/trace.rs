//! The course of a run, from the records that it left.

use crate::records::{EpochRecord, Record, StoreRecord};

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
}
