//! What the gradient of a weight says of its own noise.

use super::Target;
use crate::ir::{Binding, Kernel, KernelContext, Operator, OperatorKind, Output, Value};
use crate::ops::optimizer::{BLOCK, total_of_sums};

/// Σ (g − mean)² over a gradient, with the mean of what the optimiser averages; or Σ |average|, by the target. Inputs: gradient,
/// control, status, perhaps its average, perhaps the scales of its codes, perhaps what it was multiplied by; where rows go one block after the other, the sum so far.
#[derive(Debug)]
pub(super) struct Noise {
    /// What the bound aims at.
    pub target: Target,
    /// Steps between two renewals of the bound.
    pub interval: u32,
    /// What the optimiser averages of the gradient.
    pub average: Option<Average>,
    /// Whether the gradient was multiplied.
    pub loss_scaled: bool,
}

/// An average Σ c·βᵏ·g of a gradient.
#[derive(Clone, Copy, Debug)]
pub(super) struct Average {
    /// β.
    pub decay: f32,
    /// c.
    pub scale: f32,
    /// Of codes, how many scales each block has.
    pub scales: Option<usize>,
}

/// Elements of a gradient that one invocation adds up: a block of a coded average.
const CHUNK: usize = BLOCK;

impl Noise {
    /// Inputs without the sum so far.
    fn inputs(&self) -> usize {
        let average = self.average.map_or(0, |average| 1 + usize::from(average.scales.is_some()));
        3 + average + usize::from(self.loss_scaled)
    }
}

impl Operator for Noise {
    fn name(&self) -> &'static str {
        "gradient noise"
    }

    fn kind(&self) -> OperatorKind {
        let along: &[usize] = match self.average {
            Some(Average { scales: Some(_), .. }) => &[0, 3, 4],
            Some(_) => &[0, 3],
            None => &[0],
        };
        OperatorKind::SumOfElements { along, inputs: self.inputs(), awaited: false }
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("noise", [1]).always_f32()])
    }

    fn scratch(&self, context: &KernelContext) -> Vec<usize> {
        vec![context.inputs[0].shape.elements().div_ceil(CHUNK)]
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let elements = context.inputs[0].shape.elements();
        let chunks = elements.div_ceil(CHUNK);
        let Average { decay, scale, scales } = self.average.unwrap_or(Average { decay: 0.0, scale: 1.0, scales: None });
        let sums = Kernel::new("codec/error_bounded/noise")
            .variable("averaged", self.average.is_some())
            .variable("scales", scales.unwrap_or(0))
            .variable("block", BLOCK)
            .variable("of_noise", matches!(self.target, Target::Noise(_)))
            .variable("loss_scaled", self.loss_scaled)
            .parameters([elements, chunks])
            .parameter(self.interval)
            .parameters([decay, scale])
            .inputs([1, 2, 0])
            .inputs(3..self.inputs())
            .bind(Binding::Scratch(0))
            .invocations(chunks, 8);
        let so_far = self.inputs()..context.inputs.len();
        vec![sums, total_of_sums(chunks, so_far)]
    }
}
