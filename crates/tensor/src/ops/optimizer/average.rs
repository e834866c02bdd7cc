//! The exponential moving average of a parameter, which an evaluation may use in its place.

use crate::ir::{Kernel, KernelContext, Operator, OperatorKind, Output, Value, want};

/// a ← decay·a + (1 − decay)·w after each update of w, and a ← w after the first. Inputs: a, w, control, status.
#[derive(Debug)]
pub(super) struct Average {
    pub decay: f64,
    /// Whether gradients are summed over micro-batches.
    pub summed: bool,
}

impl Operator for Average {
    fn name(&self) -> &'static str {
        "moving average"
    }

    fn kind(&self) -> OperatorKind {
        OperatorKind::ElementwiseUpdate(&[0, 1])
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        want((0.0..1.0).contains(&self.decay), "the decay must lie in [0, 1)")?;
        want(inputs[0].shape == inputs[1].shape, "parameter and average must have one shape")?;
        Ok(vec![])
    }

    fn mutates(&self) -> &'static [usize] {
        &[0]
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let vectors = context.inputs[0].shape.elements().div_ceil(4);
        let kernel = Kernel::new("ops/optimizer/average")
            .variable("summed", self.summed)
            .parameter(vectors)
            .parameter((1.0 - self.decay) as f32)
            .inputs(0..4)
            .invocations(vectors, 64);
        vec![kernel]
    }
}
