//! Capacities of forms whose size depends on the data: what the last step needed, and a little more.

use super::{Plan, PlanError};
use crate::codec::Stored;
use crate::codec::error_bounded::{ErrorBounded, RECORD_WORDS, Record};
use crate::graph::{Kind, ValueId};

/// Planned over measured size, once training has settled.
pub const MARGIN: f64 = 1.18;
/// Measured over planned size from which on a plan counts as tight.
const TIGHT: f64 = 0.92;

/// Whether what was coded found room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// It did.
    Enough,
    /// It did, but little more would not.
    Tight,
    /// It did not: the step does not count.
    Exceeded,
}

impl Plan {
    /// The stored values whose codecs learn from step to step.
    pub fn steered(&self) -> impl Iterator<Item = &Stored> {
        self.stored.iter().filter(|stored| stored.steering.is_some())
    }

    /// What their records said after a step, from its metrics.
    pub fn records(&self, metrics: &[u32]) -> Vec<Record> {
        let of_kind = |kind: Kind| self.metrics.iter().filter(move |&&id| self.graph.value(id).kind == kind);
        let words = |id: &ValueId| self.graph.value(*id).shape.elements();
        let first: usize = of_kind(Kind::Metric).map(words).sum();
        metrics[first..].chunks_exact(RECORD_WORDS).map(Record::read).collect()
    }

    /// Words before the payload of a stored value.
    fn head(&self, stored: &Stored) -> usize {
        ErrorBounded::head_words(self.graph.shape(stored.source))
    }

    /// Whether the payloads of a step found room.
    pub fn room(&self, records: &[Record]) -> Room {
        let room = |(stored, record): (&Stored, &Record)| {
            let capacity = (self.graph.shape(stored.waiting).elements() - self.head(stored)) as f64;
            match f64::from(record.used) / capacity {
                fill if fill > 1.0 => Room::Exceeded,
                fill if fill > TIGHT => Room::Tight,
                _ => Room::Enough,
            }
        };
        self.steered().zip(records).map(room).max().unwrap_or(Room::Enough)
    }

    /// The same plan with `margin` times as much room as these records ask for.
    ///
    /// # Errors
    /// As [`Plan::resized`].
    pub fn fitted(&self, records: &[Record], margin: f64) -> Result<Plan, PlanError> {
        let size = |(stored, record): (&Stored, &Record)| {
            (stored.waiting, self.head(stored) + (margin * f64::from(record.used)) as usize + 64)
        };
        self.resized(&self.steered().zip(records).map(size).collect::<Vec<_>>())
    }

    /// The share of the tiles of each of them that wait raw.
    pub fn raw_shares(&self, records: &[Record]) -> Vec<f64> {
        let share = |(stored, record): (&Stored, &Record)| {
            f64::from(record.raw_tiles) / ErrorBounded::tiles(self.graph.shape(stored.source)) as f64
        };
        self.steered().zip(records).map(share).collect()
    }

    /// Bytes that a step's coding took of each of them: heads and payload, without what was planned in vain.
    pub fn used_bytes(&self, records: &[Record]) -> Vec<u64> {
        let used = |(stored, record): (&Stored, &Record)| 4 * (self.head(stored) as u64 + u64::from(record.used));
        self.steered().zip(records).map(used).collect()
    }
}
