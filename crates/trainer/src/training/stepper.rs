//! Steps in flight: hands batches to the session and holds on to each until its metrics have come back.
//!
//! Metrics come back some steps late. When a loss turns out not to be finite, its batch is therefore still there, and
//! the step can be gone through again, node by node, to find where it went wrong. Nothing is copied for that: the batch's
//! buffers just return to the loader's pool a few steps later. The same holds for a step whose stored values overflowed:
//! its capacity is raised, and it is repeated.

use crate::Error;
use crate::planning::uploads::{Inputs, slices};
use crate::planning::{EVALUATE, TRAIN};
use crate::state::capacity_history::{CapacityHistory, margin};
use crate::training::divergence;
use frugal_data::Batch;
use frugal_model::{LABELS, LOSS, PREDICTIONS, TARGETS};
use frugal_report::records::Discarded;
use frugal_tensor::codec::SizeReport;
use frugal_tensor::ir::Precision;
use frugal_tensor::ops::optimizer::LossScale;
use frugal_tensor::plan::CapacityStatus;
use frugal_tensor::runtime::StepMetrics;
use frugal_tensor::step::{CONTROL_FLAGS, Control, FLAG_CALIBRATES};
use frugal_tensor::{GpuError, Plan, PlannedSession};
use std::collections::VecDeque;
use std::ops::Range;

/// When a step happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepContext {
    /// Training steps done, this one included.
    pub step: u64,
    /// Counts from 1.
    pub epoch: u64,
    pub learning_rate: f32,
    /// How long the loop waited for the batch.
    pub data_wait_ms: f64,
    /// Where it stands among the batches of an update, as flags of the control upload.
    pub flags: u32,
}

/// A step that was submitted.
pub(super) struct Flight {
    pub plan: usize,
    pub context: StepContext,
    batch: Batch,
    control: Vec<u32>,
}

/// A step whose metrics are there.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    pub plan: usize,
    pub context: StepContext,
    /// Mean over the samples that count.
    pub loss: f32,
    pub correct: f32,
    pub counted: f32,
    /// Of evaluations whose metrics take all predictions: see [`scored`].
    pub scored: ScoredSamples,
    /// What gradients were multiplied by, if they were.
    pub scale: Option<StepScale>,
    /// The reports of data-sized values, in the order of the plan's data-sized values.
    pub records: Vec<SizeReport>,
}

/// The prediction and the target of each sample: see [`scored`].
pub(super) type ScoredSamples = Vec<(f64, f64)>;

/// The loss scale of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StepScale {
    pub scale: f32,
    /// Whether gradients were not finite with it, so that the step moved nothing.
    pub skipped: bool,
}

pub(super) struct Stepper {
    pub session: PlannedSession,
    /// Of each plan.
    inputs: Vec<Inputs>,
    /// Of each plan; planning sizes anew moves nothing of what is read back.
    read_back: Vec<ReadBack>,
    seed: u32,
    in_flight: VecDeque<Flight>,
    calibration: Calibration,
    capacity_history: CapacityHistory,
    /// What came of steps that did not count.
    pub discarded: Discarded,
}

/// Which words of a step's metrics hold what.
struct ReadBack {
    /// Loss, correct predictions and counted samples, from this word on.
    counts: usize,
    predictions: Option<Range<usize>>,
    /// Where the loss scale begins: the scale, and whether the step was skipped.
    scale: Option<usize>,
}

impl ReadBack {
    fn of(plan: &Plan) -> Self {
        let words = |name: &str| plan.graph.output(name).and_then(|id| plan.metric_range(id));
        Self {
            counts: words(LOSS).expect("every step reads its loss back").start,
            predictions: words(PREDICTIONS),
            scale: plan.metric(LossScale::USED),
        }
    }

    fn counts(&self, metrics: &StepMetrics) -> [f32; 3] {
        [0, 1, 2].map(|word| metrics.f32(self.counts + word))
    }
}

/// How far the bounds and capacities of data-sized values are known.
enum Calibration {
    /// Bounds and sizes are not known yet.
    Pending,
    /// Bounds and capacities hold.
    Current,
    /// Capacities are to be planned anew before the next step: they may be exceeded, or smaller ones will do.
    Replan,
}

impl Stepper {
    /// For a session in which so many steps have been done.
    pub fn new(session: PlannedSession, seed: u32, steps: u64) -> Self {
        let inputs = session.plans().iter().map(Inputs::of).collect();
        let read_back = session.plans().iter().map(ReadBack::of).collect();
        let calibrates = session.plans()[TRAIN].has_data_sized();
        let calibration = if calibrates && steps == 0 { Calibration::Pending } else { Calibration::Current };
        let (capacity_history, discarded) = (CapacityHistory::after(steps), Discarded::default());
        Self { session, inputs, read_back, seed, in_flight: VecDeque::new(), calibration, capacity_history, discarded }
    }

    /// Submits a step; returns those that have finished meanwhile.
    pub fn step(&mut self, plan: usize, context: StepContext, batch: Batch) -> Result<Vec<Finished>, Error> {
        let done_before = context.step.saturating_sub(1) as u32;
        let control = Control::new(done_before, self.seed).flags(context.flags).learning_rate(context.learning_rate);
        let control = self.encoded(plan, &control)?;
        let flight = Flight { plan, context, batch, control };
        let mut finished = Vec::new();
        match std::mem::replace(&mut self.calibration, Calibration::Current) {
            Calibration::Current => {}
            Calibration::Pending if plan == TRAIN => self.probe(&flight)?,
            Calibration::Pending => self.calibration = Calibration::Pending,
            Calibration::Replan => {
                finished = self.drain()?;
                self.replan(context.step)?;
            }
        }
        finished.extend(self.submit(flight)?);
        Ok(finished)
    }

    /// What the net makes of a batch, in an evaluation. No step may be in flight.
    pub fn predictions(&mut self, batch: &Batch) -> Result<Vec<f32>, Error> {
        let graph = &self.session.plans()[EVALUATE].graph;
        let output = graph.output(PREDICTIONS).expect("every step of a net names its predictions");
        // They are in memory until the first node that reads them has run.
        let at = graph.nodes().iter().position(|node| node.inputs.contains(&output)).expect("the loss reads them");
        let mut predictions = Vec::new();
        let control = self.encoded(EVALUATE, &Control::new(0, self.seed))?;
        let uploads = self.inputs[EVALUATE].bytes(batch, &control);
        self.session.step_by_node(EVALUATE, &slices(&uploads), |session, node| {
            if node == at {
                predictions = session.read_elements(EVALUATE, output)?;
            }
            Ok(node < at)
        })?;
        Ok(predictions)
    }

    /// The words of a plan's control upload.
    fn encoded(&self, plan: usize, control: &Control) -> Result<Vec<u32>, Error> {
        let layout = self.session.plans()[plan].graph.control_layout();
        Ok(layout.encode(control).map_err(GpuError::from)?)
    }

    /// Calibrates bounds and capacities by steps that change nothing else.
    fn probe(&mut self, flight: &Flight) -> Result<(), Error> {
        let mut control = flight.control.clone();
        control[CONTROL_FLAGS as usize] |= FLAG_CALIBRATES;
        let uploads = self.inputs[TRAIN].bytes(&flight.batch, &control);
        Ok(self.session.calibrate(TRAIN, &slices(&uploads), margin(flight.context.step))?)
    }

    /// Plans capacities by all that is known. No step may be in flight.
    fn replan(&mut self, step: u64) -> Result<(), Error> {
        self.calibration = Calibration::Current;
        Ok(self.session.replan(TRAIN, &self.capacity_history.most(), margin(step))?)
    }

    fn submit(&mut self, flight: Flight) -> Result<Vec<Finished>, Error> {
        let uploads = self.inputs[flight.plan].bytes(&flight.batch, &flight.control);
        let metrics = self.session.step(flight.plan, &slices(&uploads))?;
        self.in_flight.push_back(flight);
        self.land_all(metrics)
    }

    /// Waits for all steps in flight.
    pub fn drain(&mut self) -> Result<Vec<Finished>, Error> {
        let mut finished = Vec::new();
        // A step that is repeated after an overflow is in flight once more.
        while !self.in_flight.is_empty() {
            let metrics = self.session.finished()?;
            finished.extend(self.land_all(metrics)?);
        }
        Ok(finished)
    }

    fn land_all(&mut self, metrics: Vec<StepMetrics>) -> Result<Vec<Finished>, Error> {
        let mut finished = Vec::new();
        for metrics in metrics {
            let flight = self.in_flight.pop_front().expect("each step reports once, in order");
            debug_assert_eq!(flight.plan, metrics.executable);
            let plan = &self.session.plans()[flight.plan];
            let records = plan.size_reports(&metrics.words);
            let status = plan.capacity_status(&records);
            let marked = !records.is_empty() && self.capacity_history.add(flight.context.step, &records);
            if status == CapacityStatus::Exceeded && self.read_back[flight.plan].counts(&metrics)[0].is_finite() {
                finished.extend(self.repeat_from(flight)?);
                // The others are among those that are repeated.
                return Ok(finished);
            }
            if status == CapacityStatus::Tight || marked {
                self.calibration = Calibration::Replan;
            }
            finished.push(self.land(flight, &metrics, records)?);
        }
        Ok(finished)
    }

    /// Repeats a step in which a data-sized value overflowed, and all steps after it: the device has left everything that lives across
    /// steps as it was.
    fn repeat_from(&mut self, first: Flight) -> Result<Vec<Finished>, Error> {
        let flights: Vec<Flight> = std::iter::once(first).chain(self.in_flight.drain(..)).collect();
        self.discarded.overflows += 1;
        self.discarded.steps += flights.len() as u64;
        self.replan(flights[0].context.step)?;
        self.session.resume_updates()?;
        let mut finished = Vec::new();
        for flight in flights {
            finished.extend(self.submit(flight)?);
        }
        Ok(finished)
    }

    fn land(&mut self, flight: Flight, metrics: &StepMetrics, records: Vec<SizeReport>) -> Result<Finished, Error> {
        let plan = &self.session.plans()[flight.plan];
        let read_back = &self.read_back[flight.plan];
        let [loss, correct, counted] = read_back.counts(metrics);
        let predictions = read_back.predictions.clone();
        let scored =
            predictions.map_or(Vec::new(), |words| scored(bytemuck::cast_slice(&metrics.words[words]), &flight.batch));
        let scale =
            read_back.scale.map(|word| StepScale { scale: metrics.f32(word), skipped: metrics.f32(word + 1) == 1.0 });
        let hopeless = scale.is_some_and(|scale| scale.skipped && scale.scale <= LossScale::LEAST);
        if !loss.is_finite() || hopeless {
            let uploads = self.inputs[flight.plan].bytes(&flight.batch, &flight.control);
            let in_f16 = plan.options.operands.precision() == Precision::F16;
            let mut finding = divergence::find(&mut self.session, flight.plan, &slices(&uploads))?;
            if in_f16 {
                finding += "; activations are in f16, which holds at most 65,504 (`train.precision`)";
            }
            return Err(Error::Diverged {
                step: flight.context.step,
                epoch: flight.context.epoch,
                evaluation: flight.plan == EVALUATE,
                finding,
                learning_rate: flight.context.learning_rate,
            });
        }
        Ok(Finished { plan: flight.plan, context: flight.context, loss, correct, counted, scored, scale, records })
    }
}

/// The prediction and the target of each sample: two numbers in a regression; of two classes by how much the logit of the second is
/// larger, and the label.
fn scored(predictions: &[f32], batch: &Batch) -> ScoredSamples {
    let each = predictions.chunks_exact(predictions.len() / batch.rows).take(batch.samples);
    let predicted = each.map(|values| match *values {
        [first, second] => f64::from(second) - f64::from(first),
        _ => f64::from(values[0]),
    });
    match batch.u32s(LABELS) {
        [] => predicted.zip(batch.f32s(TARGETS).iter().map(|&target| target.into())).collect(),
        labels => predicted.zip(labels.iter().map(|&label| label.into())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::Discarded;

    #[test]
    fn steps_that_are_done_again_take_their_time() {
        assert_eq!(Discarded { overflows: 2, steps: 7 }.steps_done_per_step(200), 1.035);
        assert_eq!(Discarded::default().steps_done_per_step(0), 1.0);
    }
}
