//! What the host knows of a run between two steps: with the session's values, all that it needs to go on.

use crate::state::means::{Mean, Sums};
use crate::state::stored_sizes::StoreLog;
use frugal_report::records::{Discarded, EpochRecord};
use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TrainState {
    /// Training steps done.
    pub step: u64,
    /// Whether the evaluation that is due after that step, if one is, has still to be done.
    pub pending: bool,
    /// Sums over the epoch so far.
    pub training: Sums,
    /// How long the loop waited for batches, in milliseconds a step.
    pub waiting: Mean,
    /// The last evaluation.
    pub last: Option<EpochRecord>,
    /// The best one: the first of those with the highest accuracy, or the lowest loss, that the run is watched by.
    pub best: Option<EpochRecord>,
    /// Evaluations since the best one.
    pub stale: u64,
    /// What stores took whose sizes depend on the data.
    pub stores: StoreLog,
    /// What was done again because it overflowed.
    pub discarded: Discarded,
    /// The most bytes that were ever allocated.
    pub most_bytes: u64,
    /// Seconds of the run so far.
    pub seconds: f64,
    /// Seconds of the epoch so far.
    pub epoch_seconds: f64,
}

impl TrainState {
    /// Books an evaluation, and says whether it is the best so far.
    pub fn judge(&mut self, record: EpochRecord) -> bool {
        self.stale = self.stale_after(&record);
        self.last = Some(record);
        let better = self.stale == 0;
        if better {
            self.best = Some(record);
        }
        better
    }

    /// Evaluations since the best one, with this one booked.
    pub fn stale_after(&self, record: &EpochRecord) -> u64 {
        let better = self.best.is_none_or(|best| record.beats(&best));
        if better { 0 } else { self.stale + 1 }
    }

    /// Whether the net as it is has been evaluated on the test set.
    pub fn is_tested(&self) -> bool {
        self.last.is_some_and(|last| last.step == self.step && last.test_loss.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_higher_accuracy_is_better() {
        // Whatever the test set says, what is held out decides.
        let record = |step: u64, accuracy: f64| EpochRecord {
            epoch: 1,
            step,
            train_loss: 0.0,
            train_accuracy: Some(0.0),
            validation_loss: Some(0.0),
            validation_accuracy: Some(accuracy),
            validation_psnr: None,
            test_loss: Some(0.0),
            test_accuracy: Some(step as f64),
            test_psnr: None,
            ..EpochRecord::default()
        };
        let mut state = TrainState::default();
        let better = [0.5, 0.5, 0.4, 0.6, 0.6].map(|accuracy| state.judge(record(9 - state.stale, accuracy)));
        assert_eq!(better, [true, false, false, true, false]);
        assert_eq!((state.stale, state.best.unwrap().watched_accuracy()), (1, Some(0.6)));

        // Where there is none, a lower loss is.
        let record = |loss: f64| EpochRecord {
            validation_loss: Some(loss),
            validation_accuracy: None,
            test_accuracy: None,
            ..record(1, 0.0)
        };
        let mut state = TrainState::default();
        let better = [0.5, 0.5, 0.6, 0.4, f64::NAN].map(|loss| state.judge(record(loss)));
        assert_eq!(better, [true, false, false, true, false]);
        assert_eq!(state.best.unwrap().watched(), Some(0.4));
    }
}
