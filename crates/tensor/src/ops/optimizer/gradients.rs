//! What happens to gradients before an optimiser sees them, without a way to the host: summing over micro-batches, and
//! clipping by their norm.

use crate::ir::{Binding, Kernel, KernelContext, Operator, OperatorKind, Output, Value, want};
use std::ops::Range;

/// sum ← sum + samples · gradient, from 0 in the first micro-batch of a step; `samples` is how many the loss counted, whose mean
/// the gradient is. Without a gradient the samples themselves are summed. Inputs: sum, loss, control, status, gradient.
#[derive(Debug)]
pub(super) struct Accumulate;

/// Σ g² of a gradient, added to that of those before it. Inputs: gradient, perhaps the sum so far.
#[derive(Debug)]
pub(super) struct SquareSum;

/// What gradients are multiplied by: 1 / samples, if they are sums over samples, 1 / loss scale, if there is one, and of gradients
/// whose norm then exceeds a limit so much less that it does not; PyTorch's limit / (norm + 1e-6). Inputs: the sum of squares if
/// there is a limit, then the sum of samples if gradients are summed, then the loss scale.
#[derive(Debug)]
pub(super) struct Factor {
    pub limit: Option<f32>,
    /// Whether gradients are sums over micro-batches.
    pub summed: bool,
    /// Whether there is a loss scale.
    pub scaled: bool,
}

/// Elements that one invocation squares.
const CHUNK: usize = 256;

impl Operator for Accumulate {
    fn name(&self) -> &'static str {
        "accumulate"
    }

    fn kind(&self) -> OperatorKind {
        OperatorKind::ElementwiseUpdate(&[0, 4])
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![])
    }

    fn mutates(&self) -> &'static [usize] {
        &[0]
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let vectors = context.inputs[0].shape.elements().div_ceil(4);
        let kernel = Kernel::new("ops/optimizer/accumulate")
            .variable("counts", context.inputs.len() == 4)
            .parameter(vectors)
            .inputs(0..context.inputs.len())
            .invocations(vectors, 64);
        vec![kernel]
    }
}

impl Operator for SquareSum {
    fn name(&self) -> &'static str {
        "squared norm"
    }

    fn kind(&self) -> OperatorKind {
        OperatorKind::SumOfElements { along: &[0], inputs: 1, awaited: true }
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("squared_norm", [1])])
    }

    fn scratch(&self, context: &KernelContext) -> Vec<usize> {
        vec![context.inputs[0].shape.elements().div_ceil(CHUNK)]
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let elements = context.inputs[0].shape.elements();
        let chunks = elements.div_ceil(CHUNK);
        let squares = Kernel::new("ops/optimizer/squares")
            .rounds(CHUNK + 1)
            .parameters([elements, chunks, CHUNK])
            .inputs([0])
            .bind(Binding::Scratch(0))
            .invocations(chunks, 8);
        vec![squares, total_of_sums(chunks, 1..context.inputs.len())]
    }
}

/// The total of so many sums in the first scratch, as the first output; if there is one, that of earlier sums is an input.
pub(crate) fn total_of_sums(sums: usize, so_far: Range<usize>) -> Kernel {
    Kernel::new("ops/optimizer/total")
        .variable("adds", !so_far.is_empty())
        .rounds(sums.div_ceil(64) + 8)
        .parameter(sums)
        .bind(Binding::Scratch(0))
        .outputs([0])
        .inputs(so_far)
        .workgroups(1)
}

impl Operator for Factor {
    fn name(&self) -> &'static str {
        "gradient factor"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        want(self.limit.is_none_or(|limit| limit > 0.0), "the largest norm must be above zero")?;
        want(inputs.iter().all(|value| value.shape.elements() == 1), "sums are single elements")?;
        Ok(vec![Output::new("factor", [1])])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let kernel = Kernel::new("ops/optimizer/factor")
            .variable("clips", self.limit.is_some())
            .variable("summed", self.summed)
            .variable("scaled", self.scaled)
            .parameters([self.limit.unwrap_or(0.0), 1.0])
            .outputs([0])
            .inputs(0..context.inputs.len())
            .workgroups(1);
        vec![kernel]
    }
}
