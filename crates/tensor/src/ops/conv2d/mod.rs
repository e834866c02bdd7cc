//! Two-dimensional convolution (cross-correlation), N×C×H×W with weights K×C×R×S, as implicit matrix products: no
//! rearranged copy of the input is ever made.

mod direct;

use super::gemm::Gemm;
use super::{Binding, Correlation, Kernel, KernelContext, KernelSet, Operator, Output, want};
use crate::graph::{Backward, Graph, GraphError, Need, Shape, Value, ValueId};

/// `y[n,k,oy,ox] = Σ w[k,c,r,s] · x[n, c, oy·stride + r − padding, ox·stride + s − padding]` over c, r, s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// Steps between outputs, down and across.
    pub stride: [usize; 2],
    /// Zeros around the input, above and below, left and right.
    pub padding: [usize; 2],
}

/// dx from w and dy; the shape of x is not to be told from theirs where strides leave a rest.
#[derive(Debug)]
struct Conv2dInputGradient {
    convolution: Conv2d,
    input: Shape,
}

/// dw from x and dy.
#[derive(Debug)]
struct Conv2dWeightGradient {
    convolution: Conv2d,
    weights: Shape,
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
}

impl Conv2d {
    fn extents(&self, x: &Shape, w: &Shape) -> Result<Extents, String> {
        let [samples, channels, height, width] = x.nchw().ok_or("the input must be N×C×H×W")?;
        let [filters, w_channels, r, s] = w.nchw().ok_or("the weights must be K×C×R×S")?;
        want(channels == w_channels, format!("the input has {channels} channels, the weights {w_channels}"))?;
        want(self.stride.iter().all(|&s| s > 0), "the stride must be at least 1")?;
        let output = [(height, r, 0), (width, s, 1)].map(|(extent, kernel, axis)| {
            let padded = extent + 2 * self.padding[axis];
            (kernel > 0 && padded >= kernel).then(|| (padded - kernel) / self.stride[axis] + 1)
        });
        match output {
            [Some(oh), Some(ow)] => {
                Ok(Extents { samples, channels, input: [height, width], filters, kernel: [r, s], output: [oh, ow] })
            }
            _ => Err(format!("a kernel of {r}×{s} does not fit into the padded input")),
        }
    }

    /// The share of output pixels at which a tap lies in the input, a mean over the taps.
    fn coverage(&self, e: &Extents) -> f32 {
        let inside = |axis: usize, tap: usize| {
            let places = (0..e.output[axis]).map(|o| o * self.stride[axis] + tap);
            places.filter(|&at| (self.padding[axis]..self.padding[axis] + e.input[axis]).contains(&at)).count()
        };
        let share = |axis: usize| {
            let pairs: usize = (0..e.kernel[axis]).map(|tap| inside(axis, tap)).sum();
            pairs as f32 / (e.kernel[axis] * e.output[axis]) as f32
        };
        share(0) * share(1)
    }

    /// The words that follow those of the product in `Params`.
    fn parameters(&self, e: &Extents) -> [usize; 13] {
        [
            e.channels,
            e.input[0],
            e.input[1],
            e.filters,
            e.kernel[0],
            e.kernel[1],
            e.output[0],
            e.output[1],
            self.stride[0],
            self.stride[1],
            self.padding[0],
            self.padding[1],
            e.samples,
        ]
    }
}

impl Extents {
    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    fn output_pixels(&self) -> usize {
        self.output[0] * self.output[1]
    }

    fn multiply_adds(&self) -> u64 {
        (self.samples * self.filters * self.output_pixels()) as u64 * (self.channels * self.taps()) as u64
    }
}

impl Operator for Conv2d {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let e = self.extents(&inputs[0].shape, &inputs[1].shape)?;
        Ok(vec![Output::new("convolved", [e.samples, e.filters, e.output[0], e.output[1]])])
    }

    fn multiply_adds(&self, inputs: &[&Value], _outputs: &[&Value]) -> u64 {
        self.extents(&inputs[0].shape, &inputs[1].shape).map_or(0, |e| e.multiply_adds())
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let e = self.extents(&context.inputs[0].shape, &context.inputs[1].shape).expect("checked by outputs");
        if let Some(kernel) = direct::forward(self, &e, context) {
            return vec![kernel];
        }
        let gemm = Gemm::new(e.filters, e.samples * e.output_pixels(), e.channels * e.taps());
        let kernel = gemm.kernel("ops/conv2d/forward", context.set).parameters(self.parameters(&e));
        vec![kernel.inputs([0, 1]).outputs([0])]
    }

    /// The weights' gradient comes first: what it decodes is gone when the input's gradient is made.
    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let arriving = backward.arriving()?;
        let (x, w) = (backward.input(0), backward.input(1));
        if backward.wants(1) {
            let kept = backward.keep(x, Need::Values);
            let weights = backward.value(w).shape.clone();
            let operator = Conv2dWeightGradient { convolution: *self, weights };
            let gradient = backward.apply(operator, &[kept, arriving])?[0];
            backward.give(1, gradient);
        }
        if backward.wants(0) {
            let w = backward.keep(w, Need::Values);
            let input = backward.value(x).shape.clone();
            let operator = Conv2dInputGradient { convolution: *self, input };
            let gradient = backward.apply(operator, &[w, arriving])?[0];
            backward.give(0, gradient);
        }
        Ok(())
    }
}

impl Operator for Conv2dInputGradient {
    fn name(&self) -> &'static str {
        "convolution input gradient"
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("input_gradient", self.input.clone())])
    }

    fn multiply_adds(&self, inputs: &[&Value], _outputs: &[&Value]) -> u64 {
        self.convolution.extents(&self.input, &inputs[0].shape).map_or(0, |e| e.multiply_adds())
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let e = self.convolution.extents(&self.input, &context.inputs[0].shape).expect("checked forward");
        if let Some(kernel) = direct::input_gradient(&self.convolution, &e, context) {
            return vec![kernel];
        }
        let gemm = Gemm::new(e.channels, e.samples * e.input[0] * e.input[1], e.filters * e.taps());
        let kernel = gemm.kernel("ops/conv2d/input_gradient", context.set).parameters(self.convolution.parameters(&e));
        vec![kernel.inputs([0, 1]).outputs([0])]
    }
}

impl Conv2dWeightGradient {
    /// The kernel that makes the gradient or partial sums of it, and how many it makes.
    fn product(&self, context: &KernelContext) -> (Kernel, usize) {
        let e = self.convolution.extents(&context.inputs[0].shape, &self.weights).expect("checked forward");
        if let Some(direct) = direct::weight_gradient(&self.convolution, &e, context) {
            return direct;
        }
        // The depth is N·OH·OW: long, while the product itself is small. It is cut until a GPU is full.
        let workgroups = match context.set {
            KernelSet::Naive => 1,
            KernelSet::Tiles => 256,
            KernelSet::Registers => 32,
        };
        let gemm = Gemm::new(e.filters, e.channels * e.taps(), e.samples * e.output_pixels());
        let gemm = gemm.in_parts(context.set, workgroups, 256);
        let kernel = gemm.kernel("ops/conv2d/weight_gradient", context.set);
        (kernel.parameters(self.convolution.parameters(&e)).inputs([0, 1]), gemm.parts)
    }
}

impl Operator for Conv2dWeightGradient {
    fn name(&self) -> &'static str {
        "convolution weight gradient"
    }

    fn correlates(&self, input: usize, inputs: &[&Value]) -> Option<Correlation> {
        let extents = self.convolution.extents(&inputs[0].shape, &self.weights).ok().filter(|_| input == 0)?;
        let coverage = self.convolution.coverage(&extents);
        Some(Correlation { with: 1, scale: None, gradient: 0, coverage })
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("weight_gradient", self.weights.clone())])
    }

    fn multiply_adds(&self, inputs: &[&Value], _outputs: &[&Value]) -> u64 {
        self.convolution.extents(&inputs[0].shape, &self.weights).map_or(0, |e| e.multiply_adds())
    }

    fn scratch(&self, context: &KernelContext) -> Vec<usize> {
        match self.product(context) {
            (_, 1) => vec![],
            (_, parts) => vec![parts * self.weights.elements()],
        }
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        match self.product(context) {
            (kernel, 1) => vec![kernel.outputs([0])],
            (kernel, parts) => vec![kernel.bind(Binding::Scratch(0)), sum_parts(parts, self.weights.elements())],
        }
    }
}

/// Adds partial sums in fixed order: scratch 0 is parts × elements, output 0 the sum.
fn sum_parts(parts: usize, elements: usize) -> Kernel {
    Kernel::new("ops/conv2d/sum_parts")
        .parameters([parts, elements])
        .invocations(elements, 64)
        .bind(Binding::Scratch(0))
        .outputs([0])
}

impl Graph {
    /// Convolution of x with weights w.
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
        self.apply_one(Conv2d { stride, padding }, &[x, w])
    }
}
