//! What the host knows of a run between two steps: with the session's values, all that it needs to go on.

use super::record::{EpochRecord, Sums};
use super::stepper::Discarded;
use super::stores::StoreLog;
use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Standing {
    /// Training steps done.
    pub step: u64,
    /// Whether the evaluation that is due after that step, if one is, has still to be done.
    pub pending: bool,
    /// Sums over the epoch so far.
    pub training: Sums,
    /// The last evaluation.
    pub last: Option<EpochRecord>,
    /// The best one: the first of those with the highest accuracy.
    pub best: Option<EpochRecord>,
    /// Evaluations since the best one.
    pub stale: u64,
    /// What stores took whose sizes depend on the data.
    pub stores: StoreLog,
    /// What was done again because it found no room.
    pub discarded: Discarded,
    /// The most bytes that were ever allocated.
    pub most_bytes: u64,
    /// Seconds of the run so far.
    pub seconds: f64,
    /// Seconds of the epoch so far.
    pub epoch_seconds: f64,
}

impl Standing {
    /// Books an evaluation, and says whether it is the best so far.
    pub fn judge(&mut self, record: EpochRecord) -> bool {
        let better = self.best.is_none_or(|best| record.test_accuracy > best.test_accuracy);
        self.last = Some(record);
        if better {
            (self.best, self.stale) = (Some(record), 0);
        } else {
            self.stale += 1;
        }
        better
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_higher_accuracy_is_better() {
        let record = |step: u64, test_accuracy: f64| EpochRecord {
            epoch: 1,
            step,
            train_loss: 0.0,
            train_accuracy: 0.0,
            test_loss: 0.0,
            test_accuracy,
            seconds: 0.0,
        };
        let mut standing = Standing::default();
        let better = [0.5, 0.5, 0.4, 0.6, 0.6].map(|accuracy| standing.judge(record(standing.stale, accuracy)));
        assert_eq!(better, [true, false, false, true, false]);
        assert_eq!((standing.stale, standing.best.unwrap().test_accuracy), (1, 0.6));
    }
}
