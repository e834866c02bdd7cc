//! Axes in another order. Keeps nothing; the gradient is the order back.

use crate::ir::{
    AlongBatch, Backward, Graph, GraphError, Kernel, KernelContext, Operator, Output, RecomputeInput, RecomputeRule,
    Shape, Value, ValueId, want,
};

/// Axis i of the output is axis `order[i]` of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transpose {
    /// A permutation of the axes.
    pub order: Vec<usize>,
}

impl Transpose {
    /// Extent and distance in the input of each axis of the output, with those taken together that stay neighbours.
    fn axes(&self, input: &Shape) -> Vec<(usize, usize)> {
        let mut strides = vec![1; input.rank()];
        for axis in (1..input.rank()).rev() {
            strides[axis - 1] = strides[axis] * input[axis];
        }
        let mut axes: Vec<(usize, usize)> = Vec::new();
        for &axis in self.order.iter().filter(|&&axis| input[axis] != 1) {
            let (extent, stride) = (input[axis], strides[axis]);
            match axes.last_mut() {
                Some(outer) if outer.1 == extent * stride => *outer = (outer.0 * extent, stride),
                _ => axes.push((extent, stride)),
            }
        }
        axes
    }
}

impl Operator for Transpose {
    fn name(&self) -> &'static str {
        "transpose"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let shape = &inputs[0].shape;
        let mut sorted = self.order.clone();
        sorted.sort_unstable();
        let all = sorted.iter().copied().eq(0..shape.rank());
        want(all, format!("the order must name each of the {} axes once", shape.rank()))?;
        want(self.axes(shape).len() <= 4, "at most four groups of axes can be moved")?;
        Ok(vec![Output::new("transposed", self.order.iter().map(|&axis| shape[axis]).collect::<Vec<_>>().as_slice())])
    }

    /// Where samples stay outermost.
    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        if self.order.first() == Some(&0) { AlongBatch::map([]) } else { AlongBatch::Whole }
    }

    fn recompute(&self, _inputs: &[&Value]) -> Option<RecomputeRule> {
        Some(RecomputeRule::pass(self.clone(), [RecomputeInput::Input(0)]))
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let mut axes = self.axes(&context.inputs[0].shape);
        while axes.len() < 4 {
            axes.insert(0, (1, 0));
        }
        let vector = axes[3].0.is_multiple_of(4);
        let aligned = vector && axes[3].1 == 1 && axes[..3].iter().all(|axis| axis.1.is_multiple_of(4));
        let lanes = if vector { 4 } else { 1 };
        axes[3].0 /= lanes;
        if aligned {
            axes[..3].iter_mut().for_each(|axis| axis.1 /= lanes);
        }
        let count = context.outputs[0].shape.elements() / lanes;
        let kernel = Kernel::new("ops/transpose")
            .variable("vector", vector)
            .variable("aligned", aligned)
            .parameter(count)
            .parameters(axes.iter().skip(1).map(|axis| axis.0))
            .parameters(axes.iter().map(|axis| axis.1))
            .inputs([0])
            .outputs([0])
            .invocations(count, 64);
        vec![kernel]
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let grad_output = backward.grad_output()?;
        let mut order = vec![0; self.order.len()];
        self.order.iter().enumerate().for_each(|(place, &axis)| order[axis] = place);
        let gradient = backward.apply(Transpose { order }, &[grad_output])?[0];
        backward.set_grad_input(0, gradient);
        Ok(())
    }
}

impl Graph {
    /// x with its axes in another order: axis i of the result is axis `order[i]` of x. Nothing at all where that is its place
    /// already.
    ///
    /// # Errors
    /// [`GraphError::Shape`] unless the order names each axis of x once.
    pub fn transpose(&mut self, x: ValueId, order: &[usize]) -> Result<ValueId, GraphError> {
        if order.iter().copied().eq(0..self.shape(x).rank()) {
            return Ok(x);
        }
        self.apply_one(Transpose { order: order.to_vec() }, &[x])
    }
}
