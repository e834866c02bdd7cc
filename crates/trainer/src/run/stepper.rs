//! Steps in flight: hands batches to the session and holds on to each until its metrics have come back.
//!
//! Metrics come back some steps late. When a loss turns out not to be finite, its batch is therefore still there, and
//! the step can be gone through again, node by node, to find where it went wrong. Nothing is copied for that: the batch's
//! buffers just return to the loader's pool a few steps later.

use super::divergence;
use crate::Error;
use crate::data::Batch;
use frugal_model::{IMAGES, LABELS, MASK};
use frugal_tensor::graph::CONTROL;
use frugal_tensor::{Plan, Session};
use std::collections::VecDeque;

/// The position of the training step among a session's plans.
pub(super) const TRAIN: usize = 0;
/// The position of the evaluation.
pub(super) const EVALUATE: usize = 1;

/// When a step happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Training steps done, this one included.
    pub step: u64,
    /// Counts from 1.
    pub epoch: u64,
    pub learning_rate: f32,
}

/// A step that was submitted.
pub(super) struct Flight {
    pub plan: usize,
    pub moment: Moment,
    batch: Batch,
    control: [u32; 4],
}

/// A step whose metrics are there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finished {
    pub plan: usize,
    pub moment: Moment,
    /// Mean over the samples that count.
    pub loss: f32,
    pub correct: f32,
    pub counted: f32,
}

/// What an upload is filled from.
#[derive(Clone, Copy)]
pub(super) enum Slot {
    Images,
    Labels,
    Mask,
    Control,
}

pub(super) struct Stepper {
    pub session: Session,
    /// For each plan, in the order of its uploads.
    slots: Vec<Vec<Slot>>,
    seed: u32,
    in_flight: VecDeque<Flight>,
}

impl Stepper {
    pub fn new(session: Session, seed: u32) -> Self {
        let slots = session.plans().iter().map(slots).collect();
        Self { session, slots, seed, in_flight: VecDeque::new() }
    }

    /// Submits a step; returns those that have finished meanwhile.
    pub fn step(&mut self, plan: usize, moment: Moment, batch: Batch) -> Result<Vec<Finished>, Error> {
        let done_before = moment.step.saturating_sub(1) as u32;
        let control = [done_before, self.seed, moment.learning_rate.to_bits(), 0];
        let flight = Flight { plan, moment, batch, control };
        let metrics = self.session.step(plan, &flight.uploads(&self.slots[plan]))?;
        self.in_flight.push_back(flight);
        metrics.into_iter().map(|metrics| self.land(&metrics)).collect()
    }

    /// Waits for all steps in flight.
    pub fn drain(&mut self) -> Result<Vec<Finished>, Error> {
        let metrics = self.session.finished()?;
        metrics.into_iter().map(|metrics| self.land(&metrics)).collect()
    }

    fn land(&mut self, metrics: &frugal_tensor::gpu::StepMetrics) -> Result<Finished, Error> {
        let flight = self.in_flight.pop_front().expect("each step reports once, in order");
        debug_assert_eq!(flight.plan, metrics.plan);
        let [loss, correct, counted] = [0, 1, 2].map(|word| metrics.f32(word));
        if !loss.is_finite() {
            let uploads = flight.uploads(&self.slots[flight.plan]);
            let finding = divergence::find(&mut self.session, flight.plan, &uploads)?;
            return Err(Error::Diverged {
                step: flight.moment.step,
                epoch: flight.moment.epoch,
                evaluation: flight.plan == EVALUATE,
                finding,
                learning_rate: flight.moment.learning_rate,
            });
        }
        Ok(Finished { plan: flight.plan, moment: flight.moment, loss, correct, counted })
    }
}

impl Flight {
    fn uploads(&self, slots: &[Slot]) -> Vec<&[u8]> {
        uploads(slots, &self.batch, &self.control)
    }
}

/// What a step uploads.
pub(super) fn uploads<'a>(slots: &[Slot], batch: &'a Batch, control: &'a [u32; 4]) -> Vec<&'a [u8]> {
    let bytes = |slot: &Slot| match slot {
        Slot::Images => bytemuck::cast_slice(&batch.images),
        Slot::Labels => bytemuck::cast_slice(&batch.labels),
        Slot::Mask => bytemuck::cast_slice(&batch.mask),
        Slot::Control => bytemuck::cast_slice(control),
    };
    slots.iter().map(bytes).collect()
}

/// What each upload of a plan is filled from.
pub(super) fn slots(plan: &Plan) -> Vec<Slot> {
    let slot = |name: &str| match name {
        IMAGES => Slot::Images,
        LABELS => Slot::Labels,
        MASK => Slot::Mask,
        CONTROL => Slot::Control,
        other => unreachable!("classifiers have no input `{other}`"),
    };
    plan.uploads().iter().map(|&id| slot(&plan.graph.value(id).name)).collect()
}
