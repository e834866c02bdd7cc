//! The loop: epochs of training steps, each followed by an evaluation.

use super::folder::Log;
use super::record::{EpochRecord, Mean, Record, StepRecord, Sums};
use super::stepper::{EVALUATE, Finished, Moment, Stepper, TRAIN};
use super::stores::StoreLog;
use super::{Progress, Schedule};
use crate::Error;
use crate::data::{Epoch, Loader};
use crate::report::units;
use frugal_tensor::ops::optimizer::Recipe;
use frugal_tensor::plan::READBACKS_IN_FLIGHT;
use std::time::Instant;

/// Steps at the begin of an epoch that do not count for the pace: the queue of steps in flight has to fill first.
const FILLING: usize = READBACKS_IN_FLIGHT + 1;

pub(super) struct Epochs<'a> {
    pub stepper: Stepper,
    pub log: Log,
    /// Seconds of each step that counts for the pace.
    pub seconds: Vec<f64>,
    /// How long the loop waited for batches, in milliseconds a step.
    pub waiting: Mean,
    train: &'a Loader,
    validation: Option<&'a Loader>,
    test: &'a Loader,
    /// The training batches that come next: they are being made while kernels compile and evaluations run.
    upcoming: Epoch,
    schedule: Schedule,
    progress: Progress,
    /// What stores took whose sizes depend on the data.
    pub stores: StoreLog,
    /// Batches from one update to the next.
    pub accumulate: u64,
    /// Bytes that the run is not meant to exceed, until it was said that it does.
    pub budget: Option<u64>,
    training: Sums,
    evaluating: Sums,
    pace: f64,
}

impl<'a> Epochs<'a> {
    pub fn new(
        stepper: Stepper,
        train: &'a Loader,
        validation: Option<&'a Loader>,
        test: &'a Loader,
        schedule: Schedule,
        log: Log,
        progress: Progress,
    ) -> Self {
        let (training, evaluating) = Default::default();
        let stores = StoreLog::default();
        Self {
            stepper,
            log,
            seconds: Vec::new(),
            waiting: Mean::default(),
            train,
            validation,
            test,
            upcoming: train.epoch(0),
            schedule,
            progress,
            stores,
            accumulate: 1,
            budget: None,
            training,
            evaluating,
            pace: 0.0,
        }
    }

    /// Runs all epochs and returns the record of the last.
    pub fn run(&mut self, epochs: u64) -> Result<EpochRecord, Error> {
        let mut last = None;
        for epoch in 1..=epochs {
            let begin = Instant::now();
            self.training = Sums::default();
            let moment = self.train_epoch(epoch)?;
            let last_one = epoch == epochs;
            if !last_one {
                self.upcoming = self.train.epoch(epoch);
            }
            let validated = self.validation.map(|held_out| self.evaluate(held_out, moment)).transpose()?;
            // With a validation set, the test set is for the end: nothing is chosen by it.
            let tests = validated.is_none() || last_one;
            let tested = tests.then(|| self.evaluate(self.test, moment)).transpose()?;
            let record = EpochRecord {
                epoch,
                step: moment.step,
                train_loss: self.training.loss(),
                train_accuracy: self.training.accuracy(),
                validation_loss: validated.map(|sums| sums.loss()),
                validation_accuracy: validated.map(|sums| sums.accuracy()),
                test_loss: tested.map(|sums| sums.loss()),
                test_accuracy: tested.map(|sums| sums.accuracy()),
                seconds: begin.elapsed().as_secs_f64(),
            };
            self.log.add(&Record::Epoch(record))?;
            self.log.flush()?;
            self.progress.epoch(&record);
            last = Some(record);
        }
        Ok(last.expect("a config has at least one epoch"))
    }

    /// Goes through a split without learning from it, after all training steps have finished.
    fn evaluate(&mut self, samples: &Loader, moment: Moment) -> Result<Sums, Error> {
        self.evaluating = Sums::default();
        for batch in samples.epoch(0) {
            let finished = self.stepper.step(EVALUATE, moment, batch?)?;
            self.take(&finished)?;
        }
        let finished = self.stepper.drain()?;
        self.take(&finished)?;
        Ok(self.evaluating)
    }

    /// Submits an epoch's training steps and returns when the last one happened.
    fn train_epoch(&mut self, epoch: u64) -> Result<Moment, Error> {
        let batches = self.train.batches();
        let mut step = (epoch - 1) * batches as u64;
        let updates_before = (epoch - 1) * (batches as u64).div_ceil(self.accumulate);
        let mut moment = Moment { step, epoch, learning_rate: 0.0, flags: 0, data_wait_ms: 0.0 };
        let mut since = Instant::now();
        for index in 0..batches {
            let asked = Instant::now();
            let batch = self.upcoming.next().expect("an epoch has as many batches as its loader says")?;
            moment.data_wait_ms = 1e3 * asked.elapsed().as_secs_f64();
            self.waiting.add(moment.data_wait_ms);
            let updates = updates_before + index as u64 / self.accumulate;
            moment.learning_rate = self.schedule.at(updates);
            moment.flags = accumulation(index as u64, batches as u64, self.accumulate, updates);
            step += 1;
            moment.step = step;
            let finished = self.stepper.step(TRAIN, moment, batch)?;
            self.pace = since.elapsed().as_secs_f64();
            since = Instant::now();
            // Where an epoch is shorter than the queue, all its steps have to do.
            if index >= FILLING || batches <= FILLING {
                self.seconds.push(self.pace);
            }
            self.take(&finished)?;
            self.watch_budget();
        }
        Ok(moment)
    }

    /// Where sizes follow the data, a run may come to need more than was planned.
    fn watch_budget(&mut self) {
        let most = self.stepper.session.most_bytes();
        if let Some(budget) = self.budget.take_if(|budget| most > *budget) {
            let (most, budget) = (units::bytes(most), units::bytes(budget));
            self.progress.warn(&format!("coded values take more than planned: {most}, over the budget of {budget}"));
        }
    }

    /// Books finished steps.
    fn take(&mut self, finished: &[Finished]) -> Result<(), Error> {
        for Finished { plan, moment, loss, correct, counted, records } in finished {
            let (plan, moment, loss, correct, counted) = (*plan, *moment, *loss, *correct, *counted);
            if plan == EVALUATE {
                self.evaluating.add(loss, correct, counted);
                continue;
            }
            self.training.add(loss, correct, counted);
            let samples_per_second = f64::from(counted) / self.pace.max(1e-9);
            self.progress.step(moment.step, moment.epoch, loss, samples_per_second);
            self.log.add(&Record::Step(StepRecord {
                step: moment.step,
                epoch: moment.epoch,
                loss,
                accuracy: correct / counted.max(1.0),
                learning_rate: moment.learning_rate,
                samples_per_second,
                data_wait_ms: moment.data_wait_ms,
            }))?;
            if !records.is_empty() {
                let plan = &self.stepper.session.plans()[TRAIN];
                self.stores.add(plan, records);
                if StoreLog::is_logged(moment.step) {
                    let values = StoreLog::now(plan, records);
                    self.log.add(&Record::Stores { step: moment.step, values })?;
                }
            }
        }
        Ok(())
    }
}

/// The flags of a batch of an epoch, if there is an update after so many: sums never go on from one epoch to the next.
fn accumulation(index: u64, batches: u64, accumulate: u64, updates: u64) -> u32 {
    if accumulate == 1 {
        return 0;
    }
    let first = index.is_multiple_of(accumulate);
    let last = (index + 1).is_multiple_of(accumulate) || index + 1 == batches;
    let flag = |flag: u32, set: bool| if set { flag } else { 0 };
    flag(Recipe::FIRST, first) | flag(Recipe::HOLD, !last) | Recipe::updates(updates as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_begin_and_end_within_an_epoch() {
        let of = |index, updates| accumulation(index, 5, 2, updates);
        let (first, hold) = (Recipe::FIRST, Recipe::HOLD);
        assert_eq!([of(0, 3), of(1, 3), of(2, 4)], [first | hold | 3 << 8, 3 << 8, first | hold | 4 << 8]);
        assert_eq!([of(3, 4), of(4, 5)], [4 << 8, first | 5 << 8]);
        assert_eq!(accumulation(1, 5, 1, 7), 0);
    }
}
