//! Multiplication of two values of one shape, element by element.

use crate::ir::{
    AlongBatch, Backward, Binding, Graph, GraphError, Kernel, KernelContext, Need, Operator, Output, RecomputeInput,
    RecomputeRule, Value, ValueId, want,
};
use crate::ops::launch;

/// y = a · b, in place of a where a has no later reader. Keeps each factor whose other one wants a gradient.
#[derive(Debug)]
pub struct Multiply;

impl Operator for Multiply {
    fn name(&self) -> &'static str {
        "multiply"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        want(inputs[0].shape == inputs[1].shape, "the shapes must be equal")?;
        Ok(vec![Output::new("product", inputs[0].shape.clone())])
    }

    fn recompute(&self, _inputs: &[&Value]) -> Option<RecomputeRule> {
        Some(RecomputeRule::pass(Multiply, [RecomputeInput::Input(0), RecomputeInput::Input(1)]))
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([])
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let kernel = launch::elementwise("ops/multiply", context).inputs([0, 1]);
        vec![if context.in_place { kernel } else { kernel.bind(Binding::Output(0)) }]
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let grad_output = backward.grad_output()?;
        for (index, other) in [(0, 1), (1, 0)] {
            if backward.wants(index) {
                let other = backward.save(backward.input(other), Need::Values);
                let gradient = backward.apply(Multiply, &[grad_output, other])?[0];
                backward.set_grad_input(index, gradient);
            }
        }
        Ok(())
    }
}

impl Graph {
    /// a · b, element by element.
    ///
    /// # Errors
    /// [`GraphError::Shape`] unless both have one shape.
    pub fn multiply(&mut self, a: ValueId, b: ValueId) -> Result<ValueId, GraphError> {
        self.apply_one(Multiply, &[a, b])
    }
}
