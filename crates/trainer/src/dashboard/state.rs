//! What the dashboard knows of a run: the records that it leaves, and what its plan says of bytes.

use super::curve::Curve;
use frugal_report::records::{EpochRecord, Record, StepRecord, median};
use frugal_report::text::shown;
use frugal_tensor::plan::Bytes;
use std::collections::VecDeque;
use std::time::Duration;

/// Steps that the pace is taken from.
const RECENT: usize = 64;

/// What does not change while a run goes on.
#[derive(Clone, Debug, Default)]
pub struct Heading {
    /// Tells the run from others.
    pub label: String,
    /// Name of the net.
    pub net: String,
    /// Name of the data set.
    pub set: String,
    /// The store, by its label.
    pub store: String,
    /// Name of the adapter.
    pub adapter: String,
    /// Samples per step.
    pub batch: usize,
    /// Epochs of the run.
    pub epochs: u64,
    /// Steps of the run.
    pub steps: u64,
    /// How long it went on before it was resumed.
    pub before: Duration,
}

impl Heading {
    /// With control characters as text.
    pub fn shown(self) -> Self {
        let shown = |text: String| shown(&text).into_owned();
        Self {
            label: shown(self.label),
            net: shown(self.net),
            set: shown(self.set),
            store: shown(self.store),
            adapter: shown(self.adapter),
            ..self
        }
    }
}

/// A quantity that is to fall or to rise, as it was trained on and as it was evaluated.
#[derive(Clone, Debug, Default)]
pub struct Course {
    /// On each batch.
    pub train: Curve,
    /// On what is held out.
    pub validation: Curve,
    /// On the test set.
    pub test: Curve,
}

/// All that is drawn.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// What does not change.
    pub heading: Heading,
    /// The losses.
    pub loss: Course,
    /// Shares of right answers, in percent.
    pub accuracy: Course,
    /// Samples per second.
    pub pace: Curve,
    /// The last step.
    pub step: Option<StepRecord>,
    /// The last evaluation.
    pub evaluation: Option<EpochRecord>,
    /// Where the bytes go.
    pub bytes: Bytes,
    /// What values take whose sizes follow the data, and what they would raw.
    pub coded: Option<(u64, u64)>,
    /// What is being done while no steps are.
    pub doing: String,
    /// What was said so far, the last lines of it.
    pub said: Vec<String>,
    /// Whether the user wants the run to stop.
    pub stopping: bool,
    /// How long the process has been at it.
    pub elapsed: Duration,
    recent: VecDeque<StepRecord>,
    /// Seconds a step of the last epoch, with its evaluations.
    seconds_per_step: Option<f64>,
}

impl State {
    /// Of a run that has not begun.
    pub fn new(heading: Heading) -> Self {
        Self { heading, ..Self::default() }
    }

    /// Takes note of a record, as `metrics.jsonl` has it.
    pub fn add(&mut self, record: &Record) {
        match record {
            Record::Step(step) => self.add_step(*step),
            Record::Epoch(epoch) | Record::Evaluation(epoch) => {
                let add = |course: &mut Course, factor: f64, [validation, test]: [Option<f64>; 2]| {
                    validation.inspect(|value| course.validation.add(epoch.step, factor * value));
                    test.inspect(|value| course.test.add(epoch.step, factor * value));
                };
                add(&mut self.loss, 1.0, [epoch.validation_loss, epoch.test_loss]);
                add(&mut self.accuracy, 100.0, [epoch.validation_accuracy, epoch.test_accuracy]);
                self.evaluation = Some(*epoch);
                if matches!(record, Record::Epoch(_)) {
                    self.seconds_per_step = Some(epoch.seconds / self.batches().max(1) as f64);
                }
            }
            Record::Stores { values, .. } => {
                let sum = |bytes: fn(&frugal_report::records::StoreRecord) -> u64| values.iter().map(bytes).sum();
                self.coded = Some((sum(|value| value.stored_bytes), sum(|value| value.raw_bytes)));
            }
            Record::Stopped { .. } => {}
        }
    }

    /// Whether answers are right or wrong: not those of nets that make images.
    pub fn names_classes(&self) -> bool {
        self.step.is_none_or(|step| step.accuracy.is_some())
    }

    fn add_step(&mut self, step: StepRecord) {
        self.doing.clear();
        self.loss.train.add(step.step, step.loss.into());
        step.accuracy.inspect(|&share| self.accuracy.train.add(step.step, 100.0 * f64::from(share)));
        self.pace.add(step.step, step.samples_per_second);
        self.step = Some(step);
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(step);
    }

    /// Forgets the pace of the steps so far: they are of another process.
    pub fn forget_pace(&mut self) {
        self.recent.clear();
    }

    /// Steps done.
    pub fn steps(&self) -> u64 {
        self.step.map_or(0, |step| step.step)
    }

    /// The epoch that the run is in, from 1.
    pub fn epoch(&self) -> u64 {
        self.step.map_or(1, |step| step.epoch)
    }

    /// Share of the steps that are done.
    pub fn done(&self) -> f64 {
        (self.steps() as f64 / self.heading.steps.max(1) as f64).min(1.0)
    }

    /// Samples per second: the median over the last steps.
    pub fn samples_per_second(&self) -> Option<f64> {
        let mut paces: Vec<f64> = self.recent.iter().map(|step| step.samples_per_second).collect();
        (!paces.is_empty()).then(|| median(&mut paces))
    }

    /// Steps per second, likewise.
    pub fn steps_per_second(&self) -> Option<f64> {
        self.samples_per_second().map(|pace| pace / self.heading.batch.max(1) as f64)
    }

    /// How long the loop waits for a batch, in milliseconds: the mean over the last steps.
    pub fn data_wait_ms(&self) -> Option<f64> {
        let waits = self.recent.iter().map(|step| step.data_wait_ms).sum::<f64>();
        (!self.recent.is_empty()).then(|| waits / self.recent.len() as f64)
    }

    /// How long the run goes on if it keeps its pace.
    pub fn left(&self) -> Option<Duration> {
        let steps = self.heading.steps.saturating_sub(self.steps());
        let each = self.seconds_per_step.or_else(|| self.steps_per_second().map(|pace| 1.0 / pace));
        each.and_then(|each| Duration::try_from_secs_f64(each * steps as f64).ok())
    }

    /// What is being done now.
    pub fn doing(&self) -> &str {
        let steps = self.steps();
        let evaluated = self.evaluation.is_some_and(|evaluation| evaluation.step == steps);
        match () {
            () if self.stopping => "finishing the step and writing a checkpoint",
            () if !self.doing.is_empty() => &self.doing,
            () if evaluated && steps >= self.heading.steps => "writing the results",
            () if steps > 0 && steps.is_multiple_of(self.batches().max(1)) && !evaluated => "evaluating",
            () => "training",
        }
    }

    /// Steps of an epoch.
    fn batches(&self) -> u64 {
        self.heading.steps / self.heading.epochs.max(1)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use frugal_report::records::StoreRecord;

    /// Two epochs of 50 steps and a part of the third of four.
    pub fn example(steps: u64) -> State {
        let mut state = State::new(Heading {
            label: "quickstart".to_owned(),
            net: "resnet8".to_owned(),
            set: "fashion-mnist-small".to_owned(),
            store: "error-bounded".to_owned(),
            adapter: "llvmpipe (LLVM 15.0.6, 256 bits)".to_owned(),
            batch: 64,
            epochs: 4,
            steps: 200,
            before: Duration::ZERO,
        });
        let (parameters, gradients, optimizer, kept) = (312 << 10, 148 << 10, 310 << 10, 2900 << 10);
        let (scratch, inputs, kept_raw) = (8 << 20, 600 << 10, 30 << 20);
        let peak = parameters + gradients + optimizer + kept + scratch + inputs;
        state.bytes =
            Bytes { parameters, gradients, optimizer, kept, kept_raw, scratch, inputs, peak, ..Bytes::default() };
        state.elapsed = Duration::from_secs(75);
        for step in 1..=steps {
            let learned = 1.0 - (-(step as f32) / 40.0).exp();
            state.add(&Record::Step(StepRecord {
                step,
                epoch: (step - 1) / 50 + 1,
                loss: 2.3 - 1.8 * learned + 0.1 * (step as f32 * 1.7).sin(),
                accuracy: Some(0.1 + 0.7 * learned + 0.05 * (step as f32 * 2.3).sin()),
                learning_rate: 0.05,
                loss_scale: None,
                skipped: false,
                // The first is slow: kernels are being compiled.
                samples_per_second: if step == 1 { 3.0 } else { 640.0 },
                data_wait_ms: 0.25,
            }));
            if step.is_multiple_of(50) {
                state.add(&Record::Epoch(EpochRecord {
                    epoch: step / 50,
                    step,
                    train_loss: 1.0,
                    train_accuracy: Some(0.6),
                    validation_loss: Some(0.9),
                    validation_accuracy: Some(0.68),
                    validation_psnr: None,
                    test_loss: None,
                    test_accuracy: None,
                    test_psnr: None,
                    seconds: 10.0,
                    ..EpochRecord::default()
                }));
            }
        }
        state
    }

    #[test]
    fn records_become_pace_progress_and_time_left() {
        let state = example(20);
        assert_eq!((state.steps(), state.epoch(), state.done()), (20, 1, 0.1));
        // The slow first step does not count for the pace: 640 samples are ten steps.
        assert_eq!((state.samples_per_second(), state.steps_per_second()), (Some(640.0), Some(10.0)));
        assert_eq!(state.left(), Some(Duration::from_secs(18)));
        assert_eq!((state.data_wait_ms(), state.doing()), (Some(0.25), "training"));
        // From the first epoch on, evaluations count for the time left, too: 200 ms a step.
        let state = example(120);
        assert_eq!((state.epoch(), state.left()), (3, Some(Duration::from_secs(16))));
        assert_eq!(state.accuracy.validation.points(), [(50.0, 68.0), (100.0, 68.0)]);
        assert!(state.loss.test.points().is_empty());
        assert_eq!(example(200).doing(), "writing the results");
    }

    #[test]
    fn what_is_being_done_is_said() {
        let mut state = State::new(Heading { steps: 4, epochs: 2, batch: 8, ..Heading::default() });
        assert_eq!((state.doing(), state.left(), state.samples_per_second()), ("training", None, None));
        state.doing = "compiling kernels".to_owned();
        assert_eq!(state.doing(), "compiling kernels");
        let step = |step| {
            Record::Step(StepRecord {
                step,
                epoch: 1,
                loss: 1.0,
                accuracy: Some(0.5),
                learning_rate: 0.1,
                loss_scale: None,
                skipped: false,
                samples_per_second: 80.0,
                data_wait_ms: 0.0,
            })
        };
        state.add(&step(1));
        assert_eq!(state.doing(), "training");
        state.add(&step(2));
        assert_eq!(state.doing(), "evaluating");
        state.stopping = true;
        assert!(state.doing().contains("checkpoint"));
        state.forget_pace();
        assert_eq!((state.samples_per_second(), state.steps()), (None, 2));
    }

    #[test]
    fn coded_values_are_added_up() {
        let mut state = State::default();
        let value = |raw_bytes, stored_bytes| StoreRecord {
            name: String::new(),
            form: String::new(),
            raw_bytes,
            stored_bytes,
            bound: None,
            density: None,
            raw_share: None,
        };
        state.add(&Record::Stores { step: 1, values: vec![value(100, 10), value(300, 20)] });
        assert_eq!(state.coded, Some((30, 400)));
    }
}
