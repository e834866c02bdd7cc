//! Transposed convolution: the adjoint of an ordinary one, which is its input gradient. All kernels are those of the
//! ordinary one, with the roles of input and output exchanged.

use super::{Conv2d, Conv2dInputGradient, Conv2dWeightGradient, Direction, Extents, MOST_STEP};
use crate::ir::{
    AlongBatch, Backward, Graph, GraphError, Kernel, KernelContext, Need, Operator, Output, Shape, Value, ValueId,
    tiles::Tunable, want,
};
use crate::ops::epilogue::{Addend, Epilogue, TakesEpilogue, epilogue};
use std::rc::Rc;

/// `y[n, k, iy·stride + r·dilation − padding, ix·stride + s·dilation − padding] += w[c,k,r,s] · x[n,c,iy,ix]`, as PyTorch's
/// `ConvTranspose2d`. Inputs: w (C×K/groups×R×S), x (N×C×H×W), as the input gradient has them.
///
/// y has (extent − 1)·stride − 2·padding + dilation·(kernel − 1) + 1 + output padding elements down and across.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvTranspose2d {
    /// The convolution of which this is the adjoint: from y to x.
    pub convolution: Conv2d,
    /// Rows below and columns to the right that the convolution's strides leave out: fewer than a stride.
    pub output_padding: [usize; 2],
}

impl ConvTranspose2d {
    /// The shape of y.
    fn output(&self, w: &Shape, x: &Shape) -> Result<Shape, String> {
        let Conv2d { stride, padding, more_padding, dilation, groups } = self.convolution;
        let [samples, channels, height, width] = x.nchw().ok_or("the input must be N×C×H×W")?;
        let [w_channels, filters, r, s] = w.nchw().ok_or("the weights must be C×K×R×S")?;
        want(channels == w_channels, format!("the input has {channels} channels, the weights {w_channels}"))?;
        want(
            stride.iter().chain(&dilation).all(|&step| step <= MOST_STEP),
            format!("stride and dilation go up to {MOST_STEP}"),
        )?;
        want(
            padding.iter().chain(&more_padding).all(|&step| step <= MOST_STEP),
            format!("the padding goes up to {MOST_STEP}"),
        )?;
        let fewer = self.output_padding.iter().zip(stride).all(|(&rest, stride)| rest < stride);
        want(fewer, "the output padding must be smaller than the stride")?;
        let extent = |axis: usize, extent: usize, kernel: usize| {
            let reach = extent.checked_sub(1)? * stride[axis] + dilation[axis] * kernel.checked_sub(1)? + 1;
            (reach + self.output_padding[axis])
                .checked_sub(2 * padding[axis] + more_padding[axis])
                .filter(|&extent| extent > 0)
        };
        match (extent(0, height, r), extent(1, width, s)) {
            (Some(oh), Some(ow)) => Ok([samples, filters.saturating_mul(groups), oh, ow].into()),
            _ => Err("the padding leaves nothing of the output".into()),
        }
    }

    /// The input gradient that this is.
    fn adjoint(&self, w: &Shape, x: &Shape) -> Result<(Conv2dInputGradient, Extents), String> {
        let input = self.output(w, x)?;
        let e = self.convolution.extents(&input, w)?;
        Ok((Conv2dInputGradient { convolution: self.convolution, input }, e))
    }
}

impl Operator for ConvTranspose2d {
    fn name(&self) -> &'static str {
        "transposed convolution"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let (adjoint, _) = self.adjoint(&inputs[0].shape, &inputs[1].shape)?;
        Ok(vec![Output::new("convolved", adjoint.input)])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([0])
    }

    /// Every element of x meets every weight of its channel once: what falls into the padding is counted, as for zeros in the
    /// padding of the ordinary one.
    fn multiply_adds(&self, inputs: &[&Value], _outputs: &[&Value]) -> u64 {
        self.adjoint(&inputs[0].shape, &inputs[1].shape).map_or(0, |(_, e)| e.multiply_adds())
    }

    fn as_product(&self, inputs: &[&Value], _outputs: &[&Value]) -> Option<[usize; 3]> {
        let (_, e) = self.adjoint(&inputs[0].shape, &inputs[1].shape).ok()?;
        e.as_product(Direction::InputGradient)
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        self.launch(context, Epilogue::default())
    }

    fn fused(&self, next: &dyn Operator) -> Option<Rc<dyn Operator>> {
        epilogue(*self, next)
    }

    fn tunable(&self, context: &KernelContext) -> Option<Tunable> {
        self.adjoint(&context.inputs[0].shape, &context.inputs[1].shape).ok()?.0.tunable(context)
    }

    /// As for the ordinary one, the weights' gradient comes first.
    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let grad_output = backward.grad_output()?;
        let (w, x) = (backward.input(0), backward.input(1));
        if backward.wants(0) {
            let kept = backward.save(x, Need::Values);
            let weights = backward.value(w).shape.clone();
            let operator = Conv2dWeightGradient::new(self.convolution, weights);
            let gradient = backward.apply(operator, &[grad_output, kept])?[0];
            backward.set_grad_input(0, gradient);
        }
        if backward.wants(1) {
            let w = backward.save(w, Need::Values);
            let gradient = backward.apply(self.convolution, &[grad_output, w])?[0];
            backward.set_grad_input(1, gradient);
        }
        Ok(())
    }
}

impl TakesEpilogue for ConvTranspose2d {
    const INPUTS: usize = 2;
    const ADDS: Addend = Addend::Bias;

    fn launch(&self, context: &KernelContext, epilogue: Epilogue) -> Vec<Kernel> {
        let adjoint = self.adjoint(&context.inputs[0].shape, &context.inputs[1].shape);
        vec![epilogue.behind(adjoint.expect("checked by outputs").0.kernel(context), Self::INPUTS)]
    }
}

impl Graph {
    /// Transposed convolution of x with weights w (C×K/groups×R×S), see [`ConvTranspose2d`].
    ///
    /// # Errors
    /// [`GraphError::Shape`] if channels differ, padding leaves nothing, or the output padding is not smaller than the
    /// stride.
    pub fn conv_transpose2d(
        &mut self,
        x: ValueId,
        w: ValueId,
        convolution: Conv2d,
        output_padding: [usize; 2],
    ) -> Result<ValueId, GraphError> {
        self.apply_one(ConvTranspose2d { convolution, output_padding }, &[w, x])
    }
}
