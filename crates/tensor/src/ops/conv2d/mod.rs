//! Two-dimensional convolution (cross-correlation), N×C×H×W with weights K×C/groups×R×S, and its transpose: no rearranged
//! copy of the input is ever made.

mod depthwise;
mod direct;
mod product;
mod tiles;
mod transpose;
mod variant;

pub use transpose::ConvTranspose2d;

use super::epilogue::{Addend, Epilogue, TakesEpilogue, epilogue};
use crate::ir::{
    AlongBatch, Backward, BatchSlice, Binding, ErrorRole, Graph, GraphError, Kernel, KernelContext, MOST_ELEMENTS,
    Need, Operator, OperatorKind, Output, Shape, Value, ValueId, WeightGradientRole, tiles::Tunable, want,
};
use std::rc::Rc;

/// `y[n,k,oy,ox] = Σ w[k,c,r,s] · x[n, c, oy·stride + r·dilation − padding, ox·stride + s·dilation − padding]` over r, s and
/// the channels c of k's group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// Steps between outputs, down and across.
    pub stride: [usize; 2],
    /// Zeros around the input, above and below, left and right.
    pub padding: [usize; 2],
    /// Zeros below and to the right besides: TensorFlow's "same" padding has them where strides are larger than 1.
    pub more_padding: [usize; 2],
    /// Steps between taps, down and across.
    pub dilation: [usize; 2],
    /// Into how many groups input and output channels are divided; each makes its outputs from its inputs alone. With as many
    /// groups as input channels the convolution is depthwise.
    pub groups: usize,
}

impl Default for Conv2d {
    /// Dense, every step 1, no padding.
    fn default() -> Self {
        Self { stride: [1, 1], padding: [0, 0], more_padding: [0, 0], dilation: [1, 1], groups: 1 }
    }
}

/// Largest stride, padding or dilation: so that no product with an extent overflows.
const MOST_STEP: usize = 1 << 30;

/// What is computed of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    /// y from x and w.
    Forward,
    /// dx from w and dy.
    InputGradient,
    /// dw from x and dy.
    WeightGradient,
}

/// dx from w and dy; the shape of x is not to be told from theirs where strides leave a rest.
#[derive(Debug)]
struct Conv2dInputGradient {
    convolution: Conv2d,
    input: Shape,
}

/// dw from x and dy.
#[derive(Clone, Debug)]
struct Conv2dWeightGradient {
    convolution: Conv2d,
    weights: Shape,
    /// Whether it is added to the input behind these, see [`Operator::adding`].
    adds: bool,
}

/// All extents of a convolution.
#[derive(Clone, Copy, Debug)]
struct Extents {
    samples: usize,
    channels: usize,
    input: [usize; 2],
    filters: usize,
    kernel: [usize; 2],
    output: [usize; 2],
    groups: usize,
}

impl Conv2d {
    fn extents(&self, x: &Shape, w: &Shape) -> Result<Extents, String> {
        let [samples, channels, height, width] = x.nchw().ok_or("the input must be N×C×H×W")?;
        let [filters, w_channels, r, s] = w.nchw().ok_or("the weights must be K×C×R×S")?;
        let groups = self.groups;
        want(groups > 0, "there must be at least one group")?;
        want(channels > 0 && filters > 0, "there must be at least one channel and one filter")?;
        let of_groups = if groups > 1 { format!(" for each of {groups} groups") } else { String::new() };
        let reason = format!("the input has {channels} channels, the weights {w_channels}{of_groups}");
        want(w_channels.checked_mul(groups) == Some(channels), reason)?;
        want(filters.is_multiple_of(groups), format!("{filters} filters do not divide into {groups} groups"))?;
        want(self.stride.iter().all(|&s| s > 0), "the stride must be at least 1")?;
        want(self.dilation.iter().all(|&d| d > 0), "the dilation must be at least 1")?;
        let steps = [self.stride, self.padding, self.more_padding, self.dilation].concat();
        want(
            steps.iter().all(|&step| step <= MOST_STEP),
            format!("stride, padding and dilation go up to {MOST_STEP}"),
        )?;
        let output = [(height, r, 0), (width, s, 1)].map(|(extent, kernel, axis)| {
            let reach = self.dilation[axis] * kernel.checked_sub(1)? + 1;
            Some(self.padded(axis, extent).checked_sub(reach)? / self.stride[axis] + 1)
        });
        // Kernels count along the padded input.
        for padded in [self.padded(0, height), self.padded(1, width)] {
            want(
                padded <= MOST_ELEMENTS,
                format!("the padded input would be {padded} wide or high, beyond what kernels count"),
            )?;
        }
        match output {
            [Some(oh), Some(ow)] => {
                let (input, kernel, output) = ([height, width], [r, s], [oh, ow]);
                Ok(Extents { samples, channels, input, filters, kernel, output, groups })
            }
            _ => Err(format!("a kernel of {r}×{s} does not fit into the padded input")),
        }
    }

    /// The extent of the input with its padding.
    fn padded(&self, axis: usize, extent: usize) -> usize {
        extent + 2 * self.padding[axis] + self.more_padding[axis]
    }

    /// The share of output pixels at which a tap lies in the input, a mean over the taps.
    fn coverage(&self, e: &Extents) -> f32 {
        let inside = |axis: usize, tap: usize| {
            // How many outputs o have o·stride + tap·dilation below an end.
            let below = |end: usize| {
                let reach = end.saturating_sub(tap * self.dilation[axis]);
                reach.div_ceil(self.stride[axis]).min(e.output[axis])
            };
            below(self.padding[axis] + e.input[axis]) - below(self.padding[axis])
        };
        let share = |axis: usize| {
            let pairs: usize = (0..e.kernel[axis]).map(|tap| inside(axis, tap)).sum();
            pairs as f32 / (e.kernel[axis] * e.output[axis]) as f32
        };
        share(0) * share(1)
    }
}

impl Extents {
    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    fn output_pixels(&self) -> usize {
        self.output[0] * self.output[1]
    }

    fn input_pixels(&self) -> usize {
        self.input[0] * self.input[1]
    }

    fn multiply_adds(&self) -> u64 {
        let weights = self.channels / self.groups * self.taps();
        (self.samples * self.filters * self.output_pixels()) as u64 * weights as u64
    }

    /// See [`Operator::as_product`]. With groups there would be several.
    fn as_product(&self, direction: Direction) -> Option<[usize; 3]> {
        let (weights, positions) = (self.channels * self.taps(), self.samples * self.output_pixels());
        let extents = match direction {
            Direction::Forward => [self.filters, positions, weights],
            Direction::InputGradient => [weights, positions, self.filters],
            Direction::WeightGradient => [self.filters, weights, positions],
        };
        (self.groups == 1).then_some(extents)
    }
}

impl Operator for Conv2d {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn kind(&self) -> OperatorKind {
        OperatorKind::Convolution
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let e = self.extents(&inputs[0].shape, &inputs[1].shape)?;
        Ok(vec![Output::new("convolved", [e.samples, e.filters, e.output[0], e.output[1]])])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([1])
    }

    fn multiply_adds(&self, inputs: &[&Value], _outputs: &[&Value]) -> u64 {
        self.extents(&inputs[0].shape, &inputs[1].shape).map_or(0, |e| e.multiply_adds())
    }

    fn as_product(&self, inputs: &[&Value], _outputs: &[&Value]) -> Option<[usize; 3]> {
        self.extents(&inputs[0].shape, &inputs[1].shape).ok()?.as_product(Direction::Forward)
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        self.launch(context, Epilogue::default())
    }

    fn fused(&self, next: &dyn Operator) -> Option<Rc<dyn Operator>> {
        epilogue(*self, next)
    }

    fn tunable(&self, context: &KernelContext) -> Option<Tunable> {
        let e = self.extents(&context.inputs[0].shape, &context.inputs[1].shape).ok()?;
        tiles::tunable(Direction::Forward, self, &e, context)
    }

    /// The weights' gradient comes first: what it decodes is gone when the input's gradient is made.
    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let grad_output = backward.grad_output()?;
        let (x, w) = (backward.input(0), backward.input(1));
        if backward.wants(1) {
            let kept = backward.save(x, Need::Values);
            let weights = backward.value(w).shape.clone();
            let operator = Conv2dWeightGradient::new(*self, weights);
            let gradient = backward.apply(operator, &[kept, grad_output])?[0];
            backward.set_grad_input(1, gradient);
        }
        if backward.wants(0) {
            let w = backward.save(w, Need::Values);
            let input = backward.value(x).shape.clone();
            let operator = Conv2dInputGradient { convolution: *self, input };
            let gradient = backward.apply(operator, &[w, grad_output])?[0];
            backward.set_grad_input(0, gradient);
        }
        Ok(())
    }
}

impl TakesEpilogue for Conv2d {
    const INPUTS: usize = 2;
    const ADDS: Addend = Addend::Bias;

    fn launch(&self, context: &KernelContext, epilogue: Epilogue) -> Vec<Kernel> {
        let e = self.extents(&context.inputs[0].shape, &context.inputs[1].shape).expect("checked by outputs");
        let (kernel, _) = variant::kernel(Direction::Forward, self, &e, context);
        vec![epilogue.behind(kernel.outputs([0]), Self::INPUTS)]
    }
}

impl Operator for Conv2dInputGradient {
    fn name(&self) -> &'static str {
        "convolution input gradient"
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("input_gradient", self.input.clone())])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([0])
    }

    fn for_slice(&self, slice: BatchSlice) -> Option<Rc<dyn Operator>> {
        Some(Rc::new(Self { input: slice.shape(&self.input), ..*self }))
    }

    fn multiply_adds(&self, inputs: &[&Value], _outputs: &[&Value]) -> u64 {
        self.convolution.extents(&self.input, &inputs[0].shape).map_or(0, |e| e.multiply_adds())
    }

    fn as_product(&self, inputs: &[&Value], _outputs: &[&Value]) -> Option<[usize; 3]> {
        self.convolution.extents(&self.input, &inputs[0].shape).ok()?.as_product(Direction::InputGradient)
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        vec![self.kernel(context)]
    }

    fn tunable(&self, context: &KernelContext) -> Option<Tunable> {
        let e = self.convolution.extents(&self.input, &context.inputs[0].shape).ok()?;
        tiles::tunable(Direction::InputGradient, &self.convolution, &e, context)
    }
}

impl Conv2dInputGradient {
    fn kernel(&self, context: &KernelContext) -> Kernel {
        let e = self.convolution.extents(&self.input, &context.inputs[0].shape).expect("checked forward");
        let (kernel, _) = variant::kernel(Direction::InputGradient, &self.convolution, &e, context);
        kernel.outputs([0])
    }
}

impl Conv2dWeightGradient {
    fn new(convolution: Conv2d, weights: Shape) -> Self {
        Self { convolution, weights, adds: false }
    }

    /// The kernel that makes the gradient or partial sums of it, and how many it makes.
    fn product(&self, context: &KernelContext) -> (Kernel, usize) {
        let e = self.convolution.extents(&context.inputs[0].shape, &self.weights).expect("checked forward");
        variant::kernel(Direction::WeightGradient, &self.convolution, &e, context)
    }
}

impl Operator for Conv2dWeightGradient {
    fn name(&self) -> &'static str {
        "convolution weight gradient"
    }

    /// With groups a weight correlates one channel of its group with the δ of its filter, over all positions: the sum of
    /// squares that counts is the filter's, as without groups. The other input waits only for a transposed convolution: there
    /// strides let a weight meet but a part of δ, so the rule would be too strict, and says nothing.
    fn error_role(&self, input: usize, inputs: &[&Value]) -> ErrorRole {
        let extents = self.convolution.extents(&inputs[0].shape, &self.weights).ok();
        let Some(extents) = extents.filter(|_| input == 0) else { return ErrorRole::Unknown };
        let coverage = self.convolution.coverage(&extents);
        ErrorRole::WeightGradient(WeightGradientRole { with: 1, scale: None, gradient: 0, coverage })
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let made = Output::new("weight_gradient", self.weights.clone());
        Ok(if self.adds { vec![] } else { vec![made] })
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::sum([])
    }

    fn adding(&self) -> Option<Rc<dyn Operator>> {
        Some(Rc::new(Self { adds: true, ..self.clone() }))
    }

    fn mutates(&self) -> &'static [usize] {
        if self.adds { &[2] } else { &[] }
    }

    fn multiply_adds(&self, inputs: &[&Value], _outputs: &[&Value]) -> u64 {
        self.convolution.extents(&inputs[0].shape, &self.weights).map_or(0, |e| e.multiply_adds())
    }

    fn as_product(&self, inputs: &[&Value], _outputs: &[&Value]) -> Option<[usize; 3]> {
        self.convolution.extents(&inputs[0].shape, &self.weights).ok()?.as_product(Direction::WeightGradient)
    }

    fn scratch(&self, context: &KernelContext) -> Vec<usize> {
        match self.product(context) {
            (_, 1) => vec![],
            (_, parts) => vec![parts * self.weights.elements()],
        }
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let (product, parts) = self.product(context);
        let last = |kernel: Kernel| match self.adds {
            true => kernel.variable("adds", true).inputs([2]),
            false => kernel.outputs([0]),
        };
        match parts {
            1 => vec![last(product)],
            _ => vec![product.bind(Binding::Scratch(0)), last(sum_parts(parts, self.weights.elements()))],
        }
    }

    fn tunable(&self, context: &KernelContext) -> Option<Tunable> {
        let e = self.convolution.extents(&context.inputs[0].shape, &self.weights).ok()?;
        tiles::tunable(Direction::WeightGradient, &self.convolution, &e, context)
    }
}

/// Adds partial sums in fixed order: scratch 0 is parts × elements. Where the sum goes is not bound yet.
fn sum_parts(parts: usize, elements: usize) -> Kernel {
    Kernel::new("ops/conv2d/sum_parts")
        .parameters([parts, elements])
        .rounds(parts + 1)
        .invocations(elements, 64)
        .bind(Binding::Scratch(0))
}

impl Graph {
    /// Dense convolution of x with weights w; for dilation and groups apply a [`Conv2d`].
    ///
    /// # Errors
    /// [`GraphError::Shape`] if channels differ or the kernel does not fit.
    pub fn conv2d(
        &mut self,
        x: ValueId,
        w: ValueId,
        stride: [usize; 2],
        padding: [usize; 2],
    ) -> Result<ValueId, GraphError> {
        self.apply_one(Conv2d { stride, padding, ..Conv2d::default() }, &[x, w])
    }
}
