//! Addition of two values of one shape: residual connections, and gradients that meet.

use crate::ir::{
    AlongBatch, Backward, Binding, ErrorRole, Graph, GraphError, Kernel, KernelContext, Operator, OperatorKind, Output,
    RecomputeInput, RecomputeRule, Value, ValueId, want,
};
use crate::ops::launch;

/// y = a + b, in place of a where a has no later reader.
#[derive(Debug)]
pub struct Add;

impl Operator for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn kind(&self) -> OperatorKind {
        OperatorKind::Add
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        want(inputs[0].shape == inputs[1].shape, "the shapes must be equal")?;
        Ok(vec![Output::new("sum", inputs[0].shape.clone())])
    }

    fn recompute(&self, _inputs: &[&Value]) -> Option<RecomputeRule> {
        Some(RecomputeRule::pass(Add, [RecomputeInput::Input(0), RecomputeInput::Input(1)]))
    }

    fn error_role(&self, _input: usize, _inputs: &[&Value]) -> ErrorRole {
        ErrorRole::Propagates(&[])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([])
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let kernel = launch::elementwise("ops/add", context).inputs([0, 1]);
        vec![if context.in_place { kernel } else { kernel.bind(Binding::Output(0)) }]
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let grad_output = backward.grad_output()?;
        for index in 0..2 {
            if backward.wants(index) {
                backward.set_grad_input(index, grad_output);
            }
        }
        Ok(())
    }
}

impl Graph {
    /// a + b.
    ///
    /// # Errors
    /// [`GraphError::Shape`] unless both have one shape.
    pub fn add(&mut self, a: ValueId, b: ValueId) -> Result<ValueId, GraphError> {
        self.apply_one(Add, &[a, b])
    }
}
