//! The running statistics of a batch norm.

use super::BatchNorm;
use crate::ir::{Kernel, KernelContext, Operator, Output, Value};

/// Moves the running statistics. Inputs: running mean, running variance, mean, inv_std, status.
#[derive(Debug)]
pub(super) struct MoveRunning {
    pub norm: BatchNorm,
    /// Elements of a channel.
    pub count: usize,
}

impl Operator for MoveRunning {
    fn name(&self) -> &'static str {
        "running statistics"
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![])
    }

    fn mutates(&self) -> &'static [usize] {
        &[0, 1]
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let channels = context.inputs[0].shape.elements();
        let unbiased = self.count as f32 / (self.count.max(2) - 1) as f32;
        let kernel = Kernel::new("ops/batch_norm/move_running")
            .parameter(channels)
            .parameters([self.norm.epsilon, self.norm.momentum, unbiased])
            .inputs(0..5)
            .invocations(channels, 8);
        vec![kernel]
    }
}
