//! Planes at other extents, usually larger ones: nearest element, or linear in both directions. Keeps nothing.

use crate::ir::{
    AlongBatch, Backward, BatchSlice, Graph, GraphError, Kernel, KernelContext, KernelSet, Operator, Output, Shape,
    Value, ValueId, want,
};
use crate::ops::launch::MOST_ITERATIONS;
use std::rc::Rc;

/// Rows of the output whose weights an invocation keeps in registers.
const MOST_REACH: usize = 16;

/// How an element of the output is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upsampling {
    /// The element of the input at ⌊o · inputs / outputs⌋ on each axis.
    Nearest,
    /// Between the two elements around (o + ½) · inputs / outputs − ½ on each axis, at least 0: PyTorch's
    /// `align_corners=False`.
    Bilinear,
}

/// N×C×H×W to N×C and these extents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upsample {
    /// How.
    pub how: Upsampling,
    /// Height and width of the output.
    pub extents: [usize; 2],
}

/// dx gathers what arrives from all outputs that read an element, in order.
#[derive(Debug)]
struct UpsampleGradient {
    how: Upsampling,
    input: Shape,
}

/// A kernel of either direction that makes `made`, without its workgroups.
fn kernel(shader: &'static str, how: Upsampling, input: &Shape, output: &Shape, made: &Shape) -> Kernel {
    Kernel::new(shader)
        .variable("bilinear", how == Upsampling::Bilinear)
        .parameters([made.elements(), input[2], input[3], output[2], output[3]])
        .inputs([0])
        .outputs([0])
}

/// Whether rows are made in one walk each: where loads cost most, and no element of the input is passed over.
fn by_rows(context: &KernelContext, input: &Shape, output: &Shape) -> bool {
    context.set == KernelSet::Registers && output[3] >= input[3] && output[3] <= MOST_ITERATIONS
}

impl Operator for Upsample {
    fn name(&self) -> &'static str {
        match self.how {
            Upsampling::Nearest => "nearest up-sampling",
            Upsampling::Bilinear => "bilinear up-sampling",
        }
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let [n, c, h, w] = inputs[0].shape.nchw().ok_or("the input must be N×C×H×W")?;
        let [oh, ow] = self.extents;
        want([h, w, oh, ow].iter().all(|&extent| extent > 0), "planes must not be empty")?;
        // Indices are multiplied with extents in words.
        want([h, w, oh, ow].iter().all(|&extent| extent < 1 << 15), "planes may have at most 32767 rows and columns")?;
        Ok(vec![Output::new("upsampled", [n, c, oh, ow])])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let (input, output) = (&context.inputs[0].shape, &context.outputs[0].shape);
        let kernel = |shader| kernel(shader, self.how, input, output, output);
        vec![match by_rows(context, input, output) {
            true => {
                kernel("ops/upsample/forward_rows").rounds(output[3] + 1).invocations(output.elements() / output[3], 8)
            }
            false => kernel("ops/upsample/forward").invocations(output.elements(), 64),
        }]
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let grad_output = backward.grad_output()?;
        let input = backward.value(backward.input(0)).shape.clone();
        let gradient = backward.apply(UpsampleGradient { how: self.how, input }, &[grad_output])?[0];
        backward.set_grad_input(0, gradient);
        Ok(())
    }
}

impl Operator for UpsampleGradient {
    fn name(&self) -> &'static str {
        "up-sampling gradient"
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("upsampling_gradient", self.input.clone())])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([])
    }

    fn for_slice(&self, slice: BatchSlice) -> Option<Rc<dyn Operator>> {
        Some(Rc::new(Self { input: slice.shape(&self.input), ..*self }))
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let (input, output) = (&self.input, &context.inputs[0].shape);
        let kernel = |shader| kernel(shader, self.how, input, output, input);
        // See `readers` in ops/upsample/params.wgsl.
        let [reach, reach_across] = [2, 3].map(|axis| match self.how {
            Upsampling::Nearest => output[axis].div_ceil(input[axis]),
            Upsampling::Bilinear => (2 * output[axis]).div_ceil(input[axis]),
        });
        vec![match by_rows(context, input, output) && reach <= MOST_REACH {
            true => kernel("ops/upsample/gradient_rows")
                .rounds(output[3] + 1)
                .variable("reach", reach)
                .invocations(input.elements() / input[3], 8),
            false => kernel("ops/upsample/gradient")
                .rounds((reach + 1) * (reach_across + 2))
                .invocations(input.elements(), 64),
        }]
    }
}

impl Graph {
    /// x with planes of these extents.
    ///
    /// # Errors
    /// [`GraphError::Shape`] unless x is N×C×H×W.
    pub fn upsample(&mut self, x: ValueId, how: Upsampling, extents: [usize; 2]) -> Result<ValueId, GraphError> {
        self.apply_one(Upsample { how, extents }, &[x])
    }
}
