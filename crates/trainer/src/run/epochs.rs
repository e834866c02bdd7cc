//! The loop: epochs of training steps, with evaluations and checkpoints between them.
//!
//! After each step the run either goes on at once, with steps on their way, or it settles: it waits for them, does the
//! evaluation that is due, writes the checkpoint that is due, and ends if it is told to. A run that is resumed begins by
//! settling.

use super::inference::DataFacts;
use super::metrics::Metrics;
use super::record::{EpochRecord, Record, StepRecord, Sums};
use super::standing::Standing;
use super::stepper::{EVALUATE, Finished, Moment, Stepper, TRAIN};
use super::stores::StoreLog;
use super::{Progress, Schedule, interrupt};
use crate::Error;
use crate::checkpoint::{self, About, Checkpoint, Position, Shelf};
use crate::config;
use crate::data::{Batch, Loader};
use crate::report::units;
use frugal_tensor::plan::READBACKS_IN_FLIGHT;
use std::time::Instant;

/// Steps after a wait that do not count for the pace: the queue of steps in flight has to fill first.
const FILLING: u64 = READBACKS_IN_FLIGHT as u64 + 1;

pub(super) struct Epochs<'a> {
    pub stepper: Stepper,
    pub metrics: Metrics,
    pub standing: Standing,
    pub shelf: Shelf,
    /// What every checkpoint of the run says of it; the rest is filled in for each.
    pub about: About,
    /// How images were normalised.
    pub facts: DataFacts,
    pub settings: config::Train,
    pub train: &'a Loader,
    pub test: &'a Loader,
    pub schedule: Schedule,
    pub progress: Progress,
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
        super::record::median(seconds)
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
    /// Runs to the end, or until accuracy has not risen for too long.
    pub fn run(&mut self) -> Result<(), Error> {
        self.settle()?;
        let batches = self.batches();
        while !self.is_over() {
            let step = self.standing.step;
            let (epoch, first) = (step / batches, step % batches);
            if first == 0 {
                (self.standing.training, self.standing.epoch_seconds) = Default::default();
            }
            let epoch_begin = Instant::now();
            let before = self.standing.epoch_seconds;
            self.paces.restart();
            for batch in self.train.epoch_from(epoch, first as usize) {
                self.train_on(batch)?;
                let due = self.due();
                if due.epoch || due.evaluation || due.checkpoint || interrupt::is_asked() {
                    self.land()?;
                    self.standing.epoch_seconds = before + epoch_begin.elapsed().as_secs_f64();
                    self.settle()?;
                    self.paces.restart();
                    if self.is_over() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the run ended because accuracy had not risen for too long.
    pub fn stopped_early(&self) -> bool {
        self.settings.patience > 0 && self.standing.stale >= self.settings.patience
    }

    fn is_over(&self) -> bool {
        self.standing.step >= self.steps() || self.stopped_early()
    }

    fn batches(&self) -> u64 {
        self.train.batches() as u64
    }

    fn steps(&self) -> u64 {
        self.settings.epochs * self.batches()
    }

    /// What is due after the last step.
    fn due(&self) -> Due {
        let step = self.standing.step;
        let every = |interval: u64| interval > 0 && step.is_multiple_of(interval);
        let epoch = every(self.batches());
        let evaluation = epoch || every(self.settings.eval_every_steps);
        Due { epoch, evaluation, checkpoint: self.shelf.is_due(step) }
    }

    /// The last step that was submitted.
    fn moment(&self) -> Moment {
        let step = self.standing.step;
        let before = step.saturating_sub(1);
        Moment { step, epoch: before / self.batches() + 1, learning_rate: self.schedule.at(before) }
    }

    /// Submits a training step.
    fn train_on(&mut self, batch: Batch) -> Result<(), Error> {
        self.standing.step += 1;
        self.standing.pending = true;
        if self.standing.step == 1 {
            self.metrics.images(1, &batch.images, &self.facts)?;
        }
        let finished = self.stepper.step(TRAIN, self.moment(), batch)?;
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
    fn settle(&mut self) -> Result<(), Error> {
        let due = self.due();
        let mut checkpoint = self.standing.pending && due.checkpoint;
        let mut best = false;
        if self.standing.pending {
            let evaluation = if due.evaluation { self.evaluate()? } else { None };
            if let Some(record) = evaluation {
                best = self.standing.judge(record);
                if due.epoch {
                    self.metrics.add(&Record::Epoch(record))?;
                    self.metrics.parameters(record.step, &self.stepper.session)?;
                    self.progress.epoch(&record);
                } else {
                    self.metrics.add(&Record::Evaluation(record))?;
                    self.progress.evaluation(&record);
                }
                self.metrics.flush()?;
            }
            self.standing.pending = due.evaluation && evaluation.is_none();
        }
        let interrupted = interrupt::is_asked() && (self.standing.pending || !self.is_over());
        checkpoint |= interrupted;
        if checkpoint || best && self.shelf.wants_best() {
            let bytes = checkpoint::encode(&self.checkpoint()?)?;
            if best {
                self.shelf.put_best(&bytes)?;
            }
            if checkpoint {
                self.shelf.put(self.standing.step, &bytes)?;
            }
        }
        if interrupted {
            let folder = self.shelf.run().to_path_buf();
            return Err(Error::Interrupted { folder, step: self.standing.step });
        }
        Ok(())
    }

    /// Goes through the test set; none if the user interrupts it.
    fn evaluate(&mut self) -> Result<Option<EpochRecord>, Error> {
        let begin = Instant::now();
        let moment = self.moment();
        let mut sums = Sums::default();
        let mut add = |finished: Vec<Finished>| {
            for Finished { loss, correct, counted, .. } in finished {
                sums.add(loss, correct, counted);
            }
        };
        let mut interrupted = false;
        for batch in self.test.epoch(0) {
            interrupted = interrupt::is_asked();
            if interrupted {
                break;
            }
            add(self.stepper.step(EVALUATE, moment, batch)?);
        }
        add(self.stepper.drain()?);
        self.standing.epoch_seconds += begin.elapsed().as_secs_f64();
        let record = EpochRecord {
            epoch: moment.epoch,
            step: moment.step,
            train_loss: self.standing.training.loss(),
            train_accuracy: self.standing.training.accuracy(),
            test_loss: sums.loss(),
            test_accuracy: sums.accuracy(),
            seconds: self.standing.epoch_seconds,
        };
        Ok(Some(record).filter(|_| !interrupted))
    }

    /// The state of the run, with nothing on its way.
    fn checkpoint(&mut self) -> Result<Checkpoint, Error> {
        let step = self.standing.step;
        let batches = self.batches();
        let about = About {
            position: Position {
                epoch: step / batches + 1,
                batch: step % batches,
                steps: self.steps(),
                learning_rate: self.schedule.at(step),
            },
            standing: self.standing(),
            capacities: checkpoint::capacities(&self.stepper.session.plans()[TRAIN]),
            logs: self.metrics.sync()?,
            ..self.about.clone()
        };
        Checkpoint::of(&self.stepper.session, about)
    }

    /// What the host knows, up to this moment.
    pub fn standing(&self) -> Standing {
        let mut standing = self.standing.clone();
        standing.seconds += self.begin.elapsed().as_secs_f64();
        standing.most_bytes = standing.most_bytes.max(self.stepper.session.most_bytes());
        standing.discarded.overflows += self.stepper.discarded.overflows;
        standing.discarded.steps += self.stepper.discarded.steps;
        standing
    }

    /// Where sizes follow the data, a run may come to need more than was planned.
    fn watch_budget(&mut self) {
        let most = self.stepper.session.most_bytes();
        if let Some(budget) = self.budget.take_if(|budget| most > *budget) {
            let (most, budget) = (units::bytes(most), units::bytes(budget));
            self.progress.warn(&format!("coded values take more than planned: {most}, over the budget of {budget}"));
        }
    }

    /// Books finished training steps.
    fn take(&mut self, finished: &[Finished]) -> Result<(), Error> {
        for Finished { plan, moment, loss, correct, counted, records } in finished {
            debug_assert_eq!(*plan, TRAIN, "evaluations wait for themselves");
            let (moment, loss, correct, counted) = (*moment, *loss, *correct, *counted);
            self.standing.training.add(loss, correct, counted);
            let samples_per_second = f64::from(counted) / self.paces.last.max(1e-9);
            self.progress.step(moment.step, moment.epoch, loss, samples_per_second);
            self.metrics.add(&Record::Step(StepRecord {
                step: moment.step,
                epoch: moment.epoch,
                loss,
                accuracy: correct / counted.max(1.0),
                learning_rate: moment.learning_rate,
                samples_per_second,
            }))?;
            if !records.is_empty() {
                let plan = &self.stepper.session.plans()[TRAIN];
                self.standing.stores.add(plan, records);
                if StoreLog::is_logged(moment.step) {
                    let values = StoreLog::now(plan, records);
                    self.metrics.add(&Record::Stores { step: moment.step, values })?;
                }
            }
        }
        Ok(())
    }
}
