//! Average pooling: over whole planes, over sliding windows, or over a given number of windows.

use super::Windows;
use crate::ir::{
    AlongBatch, Backward, BatchSlice, Graph, GraphError, Kernel, KernelContext, KernelSet, Operator, Output, Shape,
    Value, ValueId, want,
};
use crate::ops::launch;
use std::rc::Rc;

/// The mean of each plane: N×C×H×W becomes N×C.
#[derive(Debug)]
pub struct GlobalAveragePool;

#[derive(Debug)]
struct GlobalAveragePoolGradient(Shape);

impl Operator for GlobalAveragePool {
    fn name(&self) -> &'static str {
        "global average pooling"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let [n, c, h, w] = inputs[0].shape.nchw().ok_or("the input must be N×C×H×W")?;
        want(h * w > 0, "planes must not be empty")?;
        Ok(vec![Output::new("average", [n, c])])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let [n, c, size] = context.inputs[0].shape.planes().expect("checked by outputs");
        let kernel = launch::reduce_planes("ops/pool/average_forward", n * c, size, context.set)
            .parameter(1.0 / size as f32)
            .inputs([0])
            .outputs([0]);
        vec![kernel]
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let grad_output = backward.grad_output()?;
        let shape = backward.value(backward.input(0)).shape.clone();
        let gradient = backward.apply(GlobalAveragePoolGradient(shape), &[grad_output])?[0];
        backward.set_grad_input(0, gradient);
        Ok(())
    }
}

impl Operator for GlobalAveragePoolGradient {
    fn name(&self) -> &'static str {
        "global average pooling gradient"
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("pool_gradient", self.0.clone())])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([])
    }

    fn for_slice(&self, slice: BatchSlice) -> Option<Rc<dyn Operator>> {
        Some(Rc::new(Self(slice.shape(&self.0))))
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let [_, _, size] = self.0.planes().expect("made from an N×C×H×W value");
        let kernel = launch::elementwise("ops/pool/average_gradient", context)
            .parameter(self.0.elements())
            .parameter(size)
            .parameter(1.0 / size as f32)
            .inputs([0])
            .outputs([0]);
        vec![kernel]
    }
}

/// The mean of each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AveragePool {
    /// Windows that slide. Padding counts as zeros, as PyTorch has it by default.
    Sliding(Windows),
    /// As many windows, down and across, as given: window o of n over m elements reaches from ⌊o·m/n⌋ to
    /// ⌈(o + 1)·m/n⌉, PyTorch's rule.
    Adaptive([usize; 2]),
}

#[derive(Debug)]
struct AveragePoolGradient {
    pool: AveragePool,
    input: Shape,
}

impl AveragePool {
    fn output(&self, input: &Shape) -> Result<[usize; 4], String> {
        match *self {
            Self::Sliding(windows) => windows.output(input),
            Self::Adaptive([oh, ow]) => {
                let [n, c, h, w] = input.nchw().ok_or("the input must be N×C×H×W")?;
                want(h * w > 0, "planes must not be empty")?;
                want(oh > 0 && ow > 0, "there must be at least one window")?;
                Ok([n, c, oh, ow])
            }
        }
    }

    /// A kernel of either direction that makes `made`: one invocation for each element, and where drivers run on CPU cores
    /// one for each row, which has fewer indices to divide.
    /// `reads` are the most elements that one of those reads, down and across.
    fn kernel(
        &self,
        shader: &'static str,
        [input, output, made]: [&Shape; 3],
        reads: [usize; 2],
        set: KernelSet,
    ) -> Kernel {
        // Of one element, and for each row of a window the end of a loop.
        let rounds = reads[0] * (reads[1] + 1) + 1;
        let rows = set == KernelSet::Registers && made[3] * (rounds + 1) <= launch::MOST_ITERATIONS;
        let rounds = if rows { made[3] * (rounds + 1) } else { rounds };
        let count = made.elements() / if rows { made[3] } else { 1 };
        let kernel = Kernel::new(shader).rounds(rounds).variable("rows", rows);
        let kernel = match *self {
            Self::Adaptive(_) => kernel.variable("adaptive", true),
            Self::Sliding(Windows { kernel: [kh, kw], stride, padding }) => kernel
                .variable("adaptive", false)
                .variable("kernel_height", kh)
                .variable("kernel_width", kw)
                .variable("stride_y", stride[0])
                .variable("stride_x", stride[1])
                .variable("pad_y", padding[0])
                .variable("pad_x", padding[1]),
        };
        kernel
            .parameters([count, input[2], input[3], output[2], output[3]])
            .invocations(count, if rows { 8 } else { 64 })
            .inputs([0])
            .outputs([0])
    }
}

impl Operator for AveragePool {
    fn name(&self) -> &'static str {
        "average pooling"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("average", self.output(&inputs[0].shape)?)])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let (input, output) = (&context.inputs[0].shape, &context.outputs[0].shape);
        let reads = [0, 1].map(|axis| match *self {
            Self::Sliding(windows) => windows.kernel[axis],
            Self::Adaptive(extents) => input[axis + 2].div_ceil(extents[axis]) + 1,
        });
        vec![self.kernel("ops/pool/average_windows", [input, output, output], reads, context.set)]
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let grad_output = backward.grad_output()?;
        let input = backward.value(backward.input(0)).shape.clone();
        let gradient = backward.apply(AveragePoolGradient { pool: *self, input }, &[grad_output])?[0];
        backward.set_grad_input(0, gradient);
        Ok(())
    }
}

impl Operator for AveragePoolGradient {
    fn name(&self) -> &'static str {
        "average pooling gradient"
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("pool_gradient", self.input.clone())])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([])
    }

    fn for_slice(&self, slice: BatchSlice) -> Option<Rc<dyn Operator>> {
        Some(Rc::new(Self { input: slice.shape(&self.input), ..*self }))
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let (input, output) = (&self.input, &context.inputs[0].shape);
        let reads = [0, 1].map(|axis| match self.pool {
            AveragePool::Sliding(windows) => windows.kernel[axis].div_ceil(windows.stride[axis]),
            AveragePool::Adaptive(extents) => extents[axis].div_ceil(input[axis + 2]) + 1,
        });
        vec![self.pool.kernel("ops/pool/average_windows_gradient", [input, output, input], reads, context.set)]
    }
}

impl Graph {
    /// The mean of each plane.
    ///
    /// # Errors
    /// [`GraphError::Shape`] unless x is N×C×H×W.
    pub fn global_average_pool(&mut self, x: ValueId) -> Result<ValueId, GraphError> {
        self.apply_one(GlobalAveragePool, &[x])
    }

    /// Average pooling without padding, windows side by side.
    ///
    /// # Errors
    /// [`GraphError::Shape`] if the window does not fit.
    pub fn average_pool(&mut self, x: ValueId, window: usize) -> Result<ValueId, GraphError> {
        let windows = Windows { kernel: [window; 2], stride: [window; 2], padding: [0; 2] };
        self.apply_one(AveragePool::Sliding(windows), &[x])
    }

    /// Average pooling to these extents; nothing at all where x has them.
    ///
    /// # Errors
    /// [`GraphError::Shape`] unless x is N×C×H×W.
    pub fn adaptive_average_pool(&mut self, x: ValueId, extents: [usize; 2]) -> Result<ValueId, GraphError> {
        match self.shape(x).nchw() {
            Some([_, _, h, w]) if [h, w] == extents => Ok(x),
            _ => self.apply_one(AveragePool::Adaptive(extents), &[x]),
        }
    }
}
