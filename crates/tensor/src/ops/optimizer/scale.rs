//! Loss scaling (arXiv 1710.03740): the backward pass begins with a power of two in the place of 1, so that small gradients do
//! not vanish in f16, and updates divide by it. Which one is found out on the device: a gradient that is not finite halves it,
//! and its step moves nothing; many good steps double it. Scale, count and status live on the device and in checkpoints, so the
//! same run has the same scales.

use super::{Kernel, KernelContext, Operator, Output, want};
use crate::ir::{Element, Graph, GraphError, Init, Role, Value, ValueId};
use crate::step::STOP_SKIPPED;

/// What gradients are multiplied by, and how that changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossScale {
    /// The scale of the first step.
    pub start: f32,
    /// After how many steps in a row with finite gradients it is doubled.
    pub grow_after: u32,
}

impl Default for LossScale {
    /// As PyTorch's `GradScaler`: 2¹⁶, and 2,000 steps.
    fn default() -> Self {
        Self { start: 65_536.0, grow_after: 2000 }
    }
}

impl LossScale {
    /// Name of the persistent value that holds the scale.
    pub const NAME: &str = "loss_scale";
    /// Name of the metric of two words: the scale that a step had, and whether the step was skipped, 1 or 0.
    pub const USED: &str = "loss_scale.used";
    /// It is not halved below this: gradients that are not finite even so are not for want of range.
    pub const LEAST: f32 = 1.0;
    /// It is not doubled above this.
    pub const MOST: f32 = 16_777_216.0;
}

impl Graph {
    /// The single element that a backward pass begins with ([`Graph::differentiate`]) if an update scales the loss; made on first
    /// use.
    ///
    /// # Errors
    /// [`GraphError::NameTaken`] if another value has its name.
    pub fn loss_scale(&mut self, setting: LossScale) -> Result<ValueId, GraphError> {
        self.scale_state(LossScale::NAME, setting.start)
    }

    /// Steps in a row with finite gradients since the scale last changed.
    pub(super) fn good_steps(&mut self) -> Result<ValueId, GraphError> {
        self.scale_state("loss_scale.good_steps", 0.0)
    }

    fn scale_state(&mut self, name: &str, start: f32) -> Result<ValueId, GraphError> {
        match self.find(name) {
            Some(id) => Ok(id),
            None => self.at_root(|graph| {
                graph.persistent(name, Role::OptimizerState, [1], Element::F32, Init::Constant(start))
            }),
        }
    }
}

/// Raises [`STOP_SKIPPED`] where a gradient is not finite, by the sum of all squares, which is finite only if they all are. Inputs:
/// that sum, scale, status, and control if gradients are summed over micro-batches. Output: the metric [`LossScale::USED`].
#[derive(Debug)]
pub(super) struct Check;

/// The scale of the next step; takes [`STOP_SKIPPED`] back and counts it. Inputs: scale, good steps, status, and control if gradients
/// are summed over micro-batches.
#[derive(Debug)]
pub(super) struct Move(pub LossScale);

impl Operator for Check {
    fn name(&self) -> &'static str {
        "loss scale check"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        want(inputs[..2].iter().all(|value| value.shape.elements() == 1), "sum and scale are single elements")?;
        Ok(vec![Output::new("used", [2]).read_back()])
    }

    fn mutates(&self) -> &'static [usize] {
        &[2]
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let kernel = Kernel::new("ops/optimizer/check_scale")
            .variable("summed", context.inputs.len() > 3)
            .parameter(STOP_SKIPPED)
            .inputs(0..context.inputs.len())
            .outputs([0])
            .workgroups(1);
        vec![kernel]
    }
}

impl Operator for Move {
    fn name(&self) -> &'static str {
        "loss scale"
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        want(self.0.grow_after > 0, "there must be good steps before the scale grows")?;
        want(self.0.start >= LossScale::LEAST, "the scale must be at least 1")?;
        want(self.0.start.is_finite(), "the scale must be finite")?;
        Ok(vec![])
    }

    fn mutates(&self) -> &'static [usize] {
        &[0, 1, 2]
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let kernel = Kernel::new("ops/optimizer/move_scale")
            .variable("summed", context.inputs.len() > 3)
            .parameter(STOP_SKIPPED)
            .parameters([self.0.grow_after as f32, LossScale::LEAST, LossScale::MOST])
            .inputs(0..context.inputs.len())
            .workgroups(1);
        vec![kernel]
    }
}
