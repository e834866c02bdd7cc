//! The loop: epochs of training steps, with evaluations and checkpoints between them.
//!
//! After each step the run either goes on at once, with steps on their way, or it settles: it waits for them, does the
//! evaluation that is due, writes the checkpoint that is due, and ends if it is told to. A run that is resumed begins by
//! settling.

use super::stepper::{Finished, ScoredSamples, StepContext, Stepper};
use crate::Error;
use crate::artifacts::DataFacts;
use crate::artifacts::metrics::Metrics;
use crate::config;
use crate::planning::Loaders;
use crate::planning::{EVALUATE, RawPlans, TRAIN};
use crate::state::TrainState;
use crate::state::checkpoint::{self, About, Checkpoint, CheckpointStore, Position};
use crate::state::means::Sums;
use crate::state::stored_sizes::StoreLog;
use crate::terminal::interrupt;
use crate::training::Progress;
use crate::training::Schedule;
use frugal_data::{Epoch, Loader};
use frugal_model::{Task, metrics};
use frugal_report::records::{EpochRecord, Measure, Record, StepRecord};
use frugal_report::units;
use frugal_tensor::plan::READBACKS_IN_FLIGHT;
use frugal_tensor::step::{FLAG_FIRST, FLAG_HOLD, updates_before};
use std::rc::Rc;
use std::time::Instant;

/// Steps after a wait that do not count for the pace: the queue of steps in flight has to fill first.
const FILLING: u64 = READBACKS_IN_FLIGHT as u64 + 1;

pub(super) struct Epochs<'a> {
    pub stepper: Stepper,
    pub metrics: Metrics,
    pub state: TrainState,
    pub checkpoints: CheckpointStore,
    /// What every checkpoint of the run says of it; the rest is filled in for each.
    pub about: About,
    /// How images were normalised.
    pub facts: DataFacts,
    pub settings: config::Train,
    pub measure: Measure,
    pub task: Task,
    pub loaders: &'a Loaders,
    /// The training batches that come next: they are being made while kernels compile and evaluations run.
    pub upcoming: Epoch,
    pub schedule: Schedule,
    pub progress: Progress,
    /// The plans with everything kept raw: what bytes are measured against.
    pub raw: Rc<RawPlans>,
    /// Bytes that the run is not meant to exceed, until it was said that it does.
    pub budget: Option<u64>,
    pub paces: Paces,
    /// When this process began the run, or its part of it.
    pub begin: Instant,
}

/// How long steps take.
#[derive(Default)]
pub(super) struct Paces {
    /// Seconds of each step that counts.
    counted: Vec<f64>,
    /// Of those at which the queue was filling; they count if no others are there.
    filling: Vec<f64>,
    /// Steps since the last wait.
    flowing: u64,
    since: Option<Instant>,
    last: f64,
}

impl Paces {
    /// A step was submitted.
    fn tick(&mut self) {
        let now = Instant::now();
        self.last = self.since.map_or(0.0, |since| (now - since).as_secs_f64());
        self.since = Some(now);
        let seconds = if self.flowing >= FILLING { &mut self.counted } else { &mut self.filling };
        seconds.push(self.last);
        self.flowing += 1;
    }

    /// Before the first step after a wait.
    fn restart(&mut self) {
        (self.flowing, self.since) = (0, Some(Instant::now()));
    }

    /// The median.
    pub fn seconds_per_step(&mut self) -> f64 {
        let seconds = if self.counted.is_empty() { &mut self.filling } else { &mut self.counted };
        frugal_report::records::median(seconds)
    }
}

/// What has to be done after a step, before the next.
struct Due {
    /// The step is the last of its epoch.
    epoch: bool,
    evaluation: bool,
    checkpoint: bool,
}

impl Epochs<'_> {
    /// Runs to the end, or until evaluations have not become better for too long.
    pub fn run(&mut self) -> Result<(), Error> {
        if self.is_over() && !self.state.is_tested() {
            // Resumed with fewer epochs or less patience than it had: it ends where no end was in sight.
            self.state.pending = true;
        }
        self.finish_due()?;
        self.paces.restart();
        let mut since = Instant::now();
        while !self.is_over() {
            if self.state.step.is_multiple_of(self.batches()) {
                (self.state.training, self.state.epoch_seconds) = Default::default();
            }
            self.train_on_next()?;
            let due = self.due();
            if due.epoch && !self.is_over() {
                self.upcoming = self.loaders.train.epoch(self.state.step / self.batches());
            }
            if due.evaluation || due.checkpoint || interrupt::is_asked() {
                self.land()?;
                self.state.epoch_seconds += since.elapsed().as_secs_f64();
                self.finish_due()?;
                self.paces.restart();
                since = Instant::now();
            }
        }
        Ok(())
    }

    /// Whether the run ended because evaluations had not become better for too long.
    pub fn stopped_early(&self) -> bool {
        self.settings.patience > 0 && self.state.stale >= self.settings.patience
    }

    fn is_over(&self) -> bool {
        self.state.step >= self.steps() || self.stopped_early()
    }

    fn batches(&self) -> u64 {
        self.loaders.train.batches() as u64
    }

    fn steps(&self) -> u64 {
        self.settings.epochs * self.batches()
    }

    /// What is due after the last step.
    fn due(&self) -> Due {
        let step = self.state.step;
        let every = |interval: u64| interval > 0 && step.is_multiple_of(interval);
        let epoch = every(self.batches());
        let evaluation = epoch || every(self.settings.eval_every_steps) || self.is_over();
        Due { epoch, evaluation, checkpoint: self.checkpoints.is_due(step) }
    }

    /// Updates of the parameters before a batch, which counts from 0 through all epochs.
    fn updates(&self, batch: u64) -> u64 {
        let (batches, accumulate) = (self.batches(), self.settings.accumulate);
        batch / batches * batches.div_ceil(accumulate) + batch % batches / accumulate
    }

    /// The last step that was submitted.
    fn context(&self) -> StepContext {
        let (step, batches) = (self.state.step, self.batches());
        let batch = step.saturating_sub(1);
        let updates = self.updates(batch);
        StepContext {
            step,
            epoch: batch / batches + 1,
            learning_rate: self.schedule.at(updates),
            data_wait_ms: 0.0,
            flags: accumulation(batch % batches, batches, self.settings.accumulate, updates),
        }
    }

    /// Submits a training step.
    fn train_on_next(&mut self) -> Result<(), Error> {
        let asked = Instant::now();
        let batch = self.upcoming.next().expect("an epoch has as many batches as its loader says")?;
        let data_wait_ms = 1e3 * asked.elapsed().as_secs_f64();
        self.state.waiting.add(data_wait_ms);
        self.state.step += 1;
        self.state.pending = true;
        if self.state.step == 1 && self.facts.columns.is_none() {
            self.metrics.images(1, &batch, &self.facts)?;
        }
        let finished = self.stepper.step(TRAIN, StepContext { data_wait_ms, ..self.context() }, batch)?;
        self.paces.tick();
        self.take(&finished)?;
        self.watch_budget();
        Ok(())
    }

    /// Waits for all steps on their way.
    fn land(&mut self) -> Result<(), Error> {
        let finished = self.stepper.drain()?;
        self.take(&finished)
    }

    /// Does what is due after the last step, with nothing on its way.
    fn finish_due(&mut self) -> Result<(), Error> {
        let due = self.due();
        let mut checkpoint = self.state.pending && due.checkpoint;
        let mut best = false;
        if self.state.pending {
            let evaluation = if due.evaluation { self.evaluate()? } else { None };
            if let Some(record) = evaluation {
                best = self.state.judge(record);
                if due.epoch {
                    self.record(Record::Epoch(record))?;
                    self.metrics.parameters(record.step, &self.stepper.session)?;
                    self.show_answers()?;
                } else {
                    self.record(Record::Evaluation(record))?;
                }
                self.metrics.flush()?;
            }
            self.state.pending = due.evaluation && evaluation.is_none();
        }
        let interrupted = interrupt::is_asked() && (self.state.pending || !self.is_over());
        checkpoint |= interrupted;
        if checkpoint || best && self.checkpoints.wants_best() {
            let bytes = checkpoint::encode(&self.checkpoint()?)?;
            if best {
                self.checkpoints.put_best(&bytes)?;
            }
            if checkpoint {
                self.checkpoints.put(self.state.step, &bytes)?;
            }
        }
        if interrupted {
            let folder = self.checkpoints.run().to_path_buf();
            return Err(Error::Interrupted { folder, step: self.state.step });
        }
        Ok(())
    }

    /// Shows TensorBoard what the net makes of a few images, if that is images.
    fn show_answers(&mut self) -> Result<(), Error> {
        let makes_images = matches!(self.task, Task::Images | Task::Pixels);
        if !makes_images || !self.metrics.has_tensorboard() {
            return Ok(());
        }
        let Loaders { validation, test, .. } = self.loaders;
        let Some(batch) = validation.as_ref().unwrap_or(test).epoch(0).next() else { return Ok(()) };
        let batch = batch?;
        let outputs = self.stepper.predictions(&batch)?;
        self.metrics.predictions(self.state.step, &batch, &outputs, &self.facts)
    }

    /// The share of right answers, if answers are classes.
    fn accuracy(&self, sums: &Sums) -> Option<f64> {
        self.measure.is_accuracy().then(|| sums.accuracy())
    }

    /// Evaluates; none if the user interrupts it.
    fn evaluate(&mut self) -> Result<Option<EpochRecord>, Error> {
        let begin = Instant::now();
        let record = self.evaluations()?;
        self.state.epoch_seconds += begin.elapsed().as_secs_f64();
        Ok(record.map(|record| EpochRecord { seconds: self.state.epoch_seconds, ..record }))
    }

    fn evaluations(&mut self) -> Result<Option<EpochRecord>, Error> {
        let Loaders { validation, test, .. } = self.loaders;
        let StepContext { epoch, step, .. } = self.context();
        let mut record = EpochRecord {
            epoch,
            step,
            train_loss: self.state.training.loss(),
            train_accuracy: self.accuracy(&self.state.training),
            ..EpochRecord::default()
        };
        if let Some(held_out) = validation {
            let Some((sums, scored)) = self.judge_by(held_out)? else { return Ok(None) };
            (record.validation_auc, record.validation_r_squared) = self.of_predictions(&scored);
            (record.validation_loss, record.validation_accuracy) = (Some(sums.loss()), self.accuracy(&sums));
            record.validation_psnr = self.measure.psnr(sums.loss());
        }
        // With a validation set, the test set is for the end: nothing is chosen by it.
        if validation.is_none() || self.is_last(&record) {
            let Some((sums, scored)) = self.judge_by(test)? else { return Ok(None) };
            (record.test_auc, record.test_r_squared) = self.of_predictions(&scored);
            (record.test_loss, record.test_accuracy) = (Some(sums.loss()), self.accuracy(&sums));
            record.test_psnr = self.measure.psnr(sums.loss());
        }
        Ok(Some(record))
    }

    /// The area under the receiver operating characteristic, and the share of the variance that is explained, as far as the task
    /// has them.
    fn of_predictions(&self, scored: &[(f64, f64)]) -> (Option<f64>, Option<f64>) {
        match self.task {
            _ if scored.is_empty() => (None, None),
            Task::Values => (None, metrics::r_squared(scored)),
            _ => (metrics::auc(scored.iter().map(|&(score, class)| (score, class == 1.0)).collect()), None),
        }
    }

    /// Whether the run ends with this evaluation.
    fn is_last(&self, record: &EpochRecord) -> bool {
        let patience = self.settings.patience;
        self.state.step >= self.steps() || patience > 0 && self.state.stale_after(record) >= patience
    }

    /// Goes through samples without learning from them; none if the user interrupts it.
    fn judge_by(&mut self, samples: &Loader) -> Result<Option<(Sums, ScoredSamples)>, Error> {
        let context = self.context();
        let (mut sums, mut all_scored) = (Sums::default(), Vec::new());
        let mut add = |finished: Vec<Finished>| {
            for Finished { loss, correct, counted, scored, .. } in finished {
                sums.add(loss, correct, counted);
                all_scored.extend(scored);
            }
        };
        let mut interrupted = false;
        for batch in samples.epoch(0) {
            interrupted = interrupt::is_asked();
            if interrupted {
                break;
            }
            add(self.stepper.step(EVALUATE, context, batch?)?);
        }
        add(self.stepper.drain()?);
        Ok(Some((sums, all_scored)).filter(|_| !interrupted))
    }

    /// The state of the run, with nothing on its way.
    fn checkpoint(&mut self) -> Result<Checkpoint, Error> {
        let step = self.state.step;
        let batches = self.batches();
        let about = About {
            position: Position {
                epoch: step / batches + 1,
                batch: step % batches,
                // It may have been made shorter than it was already.
                steps: self.steps().max(step),
                learning_rate: self.schedule.at(self.updates(step)),
            },
            state: self.state(),
            capacities: checkpoint::capacities(&self.stepper.session.plans()[TRAIN]),
            logs: self.metrics.sync()?,
            ..self.about.clone()
        };
        Checkpoint::of(&self.stepper.session, about)
    }

    /// What the host knows, up to this context.
    pub fn state(&self) -> TrainState {
        let mut state = self.state.clone();
        state.seconds += self.begin.elapsed().as_secs_f64();
        state.most_bytes = state.most_bytes.max(self.stepper.session.most_bytes());
        state.discarded.overflows += self.stepper.discarded.overflows;
        state.discarded.steps += self.stepper.discarded.steps;
        state
    }

    /// Where sizes follow the data, a run may come to need more than was planned.
    fn watch_budget(&mut self) {
        let most = self.stepper.session.most_bytes();
        if let Some(budget) = self.budget.take_if(|budget| most > *budget) {
            let (most, budget) = (units::bytes(most), units::bytes(budget));
            self.progress.warn(&format!("coded values take more than planned: {most}, over the budget of {budget}"));
        }
    }

    /// Writes down what happened, and shows it.
    fn record(&mut self, record: Record) -> Result<(), Error> {
        self.metrics.add(&record)?;
        self.progress.record(record);
        Ok(())
    }

    /// Books finished training steps.
    fn take(&mut self, finished: &[Finished]) -> Result<(), Error> {
        for Finished { plan, context, loss, correct, counted, scale, records, .. } in finished {
            debug_assert_eq!(*plan, TRAIN, "evaluations wait for themselves");
            let (context, loss, correct, counted) = (*context, *loss, *correct, *counted);
            self.state.training.add(loss, correct, counted);
            let samples_per_second = f64::from(counted) / self.paces.last.max(1e-9);
            self.record(Record::Step(StepRecord {
                step: context.step,
                epoch: context.epoch,
                loss,
                accuracy: self.measure.is_accuracy().then(|| correct / counted.max(1.0)),
                learning_rate: context.learning_rate,
                loss_scale: scale.map(|scale| scale.scale),
                skipped: scale.is_some_and(|scale| scale.skipped),
                samples_per_second,
                data_wait_ms: context.data_wait_ms,
            }))?;
            if !records.is_empty() {
                let plan = &self.stepper.session.plans()[TRAIN];
                self.state.stores.add(plan, records);
                if StoreLog::is_logged(context.step) {
                    let values = StoreLog::now(plan, records);
                    self.record(Record::Stores { step: context.step, values })?;
                    self.progress.bytes(|| {
                        let plans = self.stepper.session.plans();
                        plans[TRAIN].bytes(&[&plans[EVALUATE]], &self.raw.all())
                    });
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
    flag(FLAG_FIRST, first) | flag(FLAG_HOLD, !last) | updates_before(updates as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_begin_and_end_within_an_epoch() {
        let of = |index, updates| accumulation(index, 5, 2, updates);
        let (first, hold) = (FLAG_FIRST, FLAG_HOLD);
        assert_eq!([of(0, 3), of(1, 3), of(2, 4)], [first | hold | 3 << 8, 3 << 8, first | hold | 4 << 8]);
        assert_eq!([of(3, 4), of(4, 5)], [4 << 8, first | 5 << 8]);
        assert_eq!(accumulation(1, 5, 1, 7), 0);
    }
}
