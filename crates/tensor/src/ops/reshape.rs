//! Another shape for the same elements: no kernel, no copy.

use crate::ir::{
    AlongBatch, Backward, BatchSlice, ErrorRole, Graph, GraphError, Kernel, KernelContext, Operator, OperatorKind,
    Output, RecomputeInput, RecomputeRule, Shape, Value, ValueId, want,
};
use std::rc::Rc;

/// The input's elements under this shape.
#[derive(Debug)]
pub struct Reshape(pub Shape);

impl Operator for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn kind(&self) -> OperatorKind {
        OperatorKind::View
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let (from, to) = (inputs[0].shape.elements(), self.0.elements());
        want(from == to, format!("{} has {to} elements, not {from}", self.0))?;
        Ok(vec![Output::new("reshaped", self.0.clone())])
    }

    /// Samples lie one behind the other, whatever their shape.
    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([])
    }

    fn for_slice(&self, slice: BatchSlice) -> Option<Rc<dyn Operator>> {
        Some(Rc::new(Self(slice.shape(&self.0))))
    }

    fn error_role(&self, _input: usize, _inputs: &[&Value]) -> ErrorRole {
        ErrorRole::Propagates(&[])
    }

    /// A view is kept as what it is a view of: a codec may make more of planes than of a flattened matrix.
    fn recompute(&self, _inputs: &[&Value]) -> Option<RecomputeRule> {
        Some(RecomputeRule { always: true, ..RecomputeRule::pass(Reshape(self.0.clone()), [RecomputeInput::Input(0)]) })
    }

    fn kernels(&self, _context: &KernelContext) -> Vec<Kernel> {
        Vec::new()
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let grad_output = backward.grad_output()?;
        let shape = backward.value(backward.input(0)).shape.clone();
        let gradient = backward.apply(Reshape(shape), &[grad_output])?[0];
        backward.set_grad_input(0, gradient);
        Ok(())
    }
}

impl Graph {
    /// The elements of x under another shape.
    ///
    /// # Errors
    /// [`GraphError::Shape`] unless both have equally many.
    pub fn reshape(&mut self, x: ValueId, shape: impl Into<Shape>) -> Result<ValueId, GraphError> {
        self.apply_one(Reshape(shape.into()), &[x])
    }

    /// x as a matrix with one row per sample.
    ///
    /// # Errors
    /// None.
    pub fn flatten(&mut self, x: ValueId) -> Result<ValueId, GraphError> {
        let shape = self.shape(x);
        let samples = shape.extents().first().copied().unwrap_or(1);
        let rest = shape.elements() / samples.max(1);
        self.reshape(x, [samples, rest])
    }
}
