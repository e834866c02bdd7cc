//! Capacities of forms whose size depends on the data: what the last step needed, and a little more.

use super::{Plan, PlanError};
use crate::codec::Stored;
use crate::codec::error_bounded::{CONTROLLER_STATE_WORDS, ControllerState, ErrorBounded};
use crate::ir::{Kind, ValueId};
use std::ops::RangeInclusive;

/// Planned over measured size, once training has settled.
pub const MARGIN: f64 = 1.18;
/// By how much more of what is spared a small value gets at most.
const MOST_SHARE: f64 = 3.0;
/// Words that every payload has besides.
const LEAST: usize = 64;
/// Measured over planned size from which on a plan counts as tight.
const TIGHT: f64 = 0.92;

/// Whether what was coded found room.
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
    /// The stored values whose codecs learn from step to step.
    pub fn steered(&self) -> impl Iterator<Item = &Stored> {
        self.stored.iter().filter(|stored| stored.bound_controller.is_some())
    }

    /// What their states said after a step, from its metrics.
    pub fn controller_states(&self, metrics: &[u32]) -> Vec<ControllerState> {
        let of_kind = |kind: Kind| self.metrics.iter().filter(move |&&id| self.graph.value(id).kind == kind);
        let words = |id: &ValueId| self.graph.value(*id).shape.elements();
        let first: usize = of_kind(Kind::Metric).map(words).sum();
        metrics[first..].chunks_exact(CONTROLLER_STATE_WORDS).map(ControllerState::read).collect()
    }

    /// Words before the payload of a stored value.
    fn head(&self, stored: &Stored) -> usize {
        ErrorBounded::head_words(self.graph.shape(stored.source))
    }

    /// The words that may be planned for a stored value whose size follows the data: its head and at least a word of payload, and at
    /// most four times the value itself, which is more than any step asks for.
    pub fn capacities(&self, stored: &Stored) -> RangeInclusive<u64> {
        let (head, elements) = (self.head(stored) as u64, self.graph.shape(stored.source).elements() as u64);
        head + 1..=head + 4 * elements.max(512)
    }

    /// Whether the payloads of a step found room.
    pub fn capacity_status(&self, states: &[ControllerState]) -> CapacityStatus {
        let room = |(stored, record): (&Stored, &ControllerState)| {
            let capacity = (self.graph.shape(stored.waiting).elements() - self.head(stored)) as f64;
            match f64::from(record.used) / capacity {
                fill if fill > 1.0 => CapacityStatus::Exceeded,
                fill if fill > TIGHT => CapacityStatus::Tight,
                _ => CapacityStatus::Enough,
            }
        };
        self.steered().zip(states).map(room).max().unwrap_or(CapacityStatus::Enough)
    }

    /// The same plan with `margin` times as much room as these states ask for. Of what is spared, a value that is `n` times
    /// smaller than the mean of all gets √n as much, up to three times: it costs next to nothing, and a step is done again for
    /// a small value as for a large one.
    ///
    /// # Errors
    /// As [`Plan::resized`].
    pub fn with_capacity(&self, states: &[ControllerState], margin: f64) -> Result<Plan, PlanError> {
        let all: f64 = states.iter().map(|record| f64::from(record.used)).sum();
        let mean = all / states.len().max(1) as f64;
        let size = |(stored, record): (&Stored, &ControllerState)| {
            (stored.waiting, self.head(stored) + payload(record.used.into(), mean, margin))
        };
        self.resized(&self.steered().zip(states).map(size).collect::<Vec<_>>())
    }

    /// The share of the tiles of each of them that wait raw.
    pub fn raw_shares(&self, states: &[ControllerState]) -> Vec<f64> {
        let share = |(stored, record): (&Stored, &ControllerState)| {
            f64::from(record.raw_tiles) / ErrorBounded::tiles(self.graph.shape(stored.source)) as f64
        };
        self.steered().zip(states).map(share).collect()
    }

    /// Bytes that a step's coding took of each of them: heads and payload, without what was planned in vain.
    pub fn used_bytes(&self, states: &[ControllerState]) -> Vec<u64> {
        let used =
            |(stored, record): (&Stored, &ControllerState)| 4 * (self.head(stored) as u64 + u64::from(record.used));
        self.steered().zip(states).map(used).collect()
    }
}

/// Words to plan for a payload that took `used` where the mean of all took `mean`.
fn payload(used: f64, mean: f64, margin: f64) -> usize {
    let share = (mean / used.max(1.0)).sqrt().clamp(1.0, MOST_SHARE);
    (used * (1.0 + (margin - 1.0) * share)) as usize + LEAST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_values_have_more_to_spare_than_large_ones() {
        let spared = |used: f64| (payload(used, 1600.0, 1.25) - LEAST) as f64 / used - 1.0;
        for (used, wanted) in [(16_000.0, 0.25), (1600.0, 0.25), (400.0, 0.5), (100.0, 0.75), (16.0, 0.75)] {
            assert_eq!(spared(used), wanted, "{used} words");
        }
        assert_eq!(payload(0.0, 0.0, 1.25), LEAST);
    }
}
