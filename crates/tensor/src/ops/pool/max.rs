//! Max pooling.

use super::Windows;
use super::window_index;
use crate::ir::{
    AlongBatch, Backward, BatchSlice, ErrorRole, Graph, GraphError, Kernel, KernelContext, KernelSet, Need, Operator,
    OperatorKind, Output, RecomputeInput, RecomputeRule, Shape, Value, ValueId,
};
use crate::ops::{
    epilogue::Addend, epilogue::Epilogue, epilogue::TakesEpilogue, epilogue::epilogue, launch::MOST_ITERATIONS,
};
use std::rc::Rc;

/// The largest element of each window; the first of equals, row by row. Padding never wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool {
    /// Extents of a window.
    pub kernel: [usize; 2],
    /// Steps between windows.
    pub stride: [usize; 2],
    /// Ignored elements around the input, less than a window.
    pub padding: [usize; 2],
}

#[derive(Debug)]
struct MaxPoolGradient {
    pool: MaxPool,
    input: Shape,
}

/// y again from an x that may have waited with an error: what lies where the largest of each window was. An x that is right on
/// average gives such a y, which a search for the largest among errors would not.
#[derive(Debug)]
struct MaxPoolRecompute(MaxPool);

impl MaxPool {
    fn windows(&self) -> Windows {
        Windows { kernel: self.kernel, stride: self.stride, padding: self.padding }
    }

    /// Of a window.
    fn places(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    fn parameters(&self, input: &Shape, output: &Shape) -> [usize; 11] {
        let (i, o) = (input.extents(), output.extents());
        [
            output.elements(),
            i[2],
            i[3],
            o[2],
            o[3],
            self.kernel[0],
            self.kernel[1],
            self.stride[0],
            self.stride[1],
            self.padding[0],
            self.padding[1],
        ]
    }
}

impl Operator for MaxPool {
    fn name(&self) -> &'static str {
        "max pooling"
    }

    fn kind(&self) -> OperatorKind {
        OperatorKind::MaxPool
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let extents = self.windows().output(&inputs[0].shape)?;
        let words = window_index::words(Shape::from(extents).elements(), self.places());
        Ok(vec![Output::new("pooled", extents), Output::words("window_index", words)])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        self.launch(context, Epilogue::default())
    }

    fn fused(&self, next: &dyn Operator) -> Option<Rc<dyn Operator>> {
        epilogue(*self, next)
    }

    fn recompute(&self, _inputs: &[&Value]) -> Option<RecomputeRule> {
        Some(RecomputeRule::pass(MaxPoolRecompute(*self), [RecomputeInput::Input(0), RecomputeInput::Output(1)]))
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let grad_output = backward.grad_output()?;
        let index = backward.save(backward.output(1), Need::Exact);
        let input = backward.value(backward.input(0)).shape.clone();
        let gradient = backward.apply(MaxPoolGradient { pool: *self, input }, &[grad_output, index])?[0];
        backward.set_grad_input(0, gradient);
        Ok(())
    }
}

impl TakesEpilogue for MaxPool {
    const INPUTS: usize = 1;
    const ADDS: Addend = Addend::Nothing;

    fn launch(&self, context: &KernelContext, epilogue: Epilogue) -> Vec<Kernel> {
        let words = context.outputs[1].shape.elements();
        let kernel = window_index::packed(Kernel::new("ops/pool/max_forward"), self.places())
            .variable("kernel_height", self.kernel[0])
            .variable("kernel_width", self.kernel[1])
            .rounds(window_index::per_word(self.places()) * (self.kernel[0] * (self.kernel[1] + 1) + 2))
            .parameters(self.parameters(&context.inputs[0].shape, &context.outputs[0].shape))
            .invocations(words, 64);
        vec![epilogue.behind(kernel.inputs([0]).outputs([0, 1]), Self::INPUTS)]
    }
}

impl Operator for MaxPoolGradient {
    fn name(&self) -> &'static str {
        "max pooling gradient"
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
        let pool = &self.pool;
        let parameters = pool.parameters(&self.input, &context.inputs[0].shape);
        let beside_each_other = (0..2).all(|axis| pool.stride[axis] >= pool.kernel[axis] && pool.padding[axis] == 0);
        let [n, c, h, w] = self.input.nchw().expect("checked forward");
        let vector = (h * w).is_multiple_of(4);
        let windows = &context.inputs[0].shape;
        let iterations = if vector { h * w / 4 } else { h * w } + windows[2] * (windows[3] + 1);
        // Of one that writes a band: what lies under each window row by row, then what no window reaches.
        let band = windows[3] * (pool.stride[0] * (pool.stride[1] + 1) + 2) + pool.stride[0] * (w + 1) + 2;
        let apart = beside_each_other && (context.set != KernelSet::Registers || band <= MOST_ITERATIONS);
        let kernel = match context.set {
            KernelSet::Registers if iterations <= MOST_ITERATIONS => Kernel::new("ops/pool/max_gradient_plane")
                .variable("kernel_width", pool.kernel[1])
                .variable("overlapping", !beside_each_other)
                .rounds(iterations)
                .variable("vector", vector)
                .parameter(n * c)
                .invocations(n * c, 8),
            KernelSet::Registers | KernelSet::Tiles if apart => {
                let bands_per_plane = h.div_ceil(pool.stride[0]);
                let bands = n * c * bands_per_plane;
                Kernel::new("ops/pool/max_gradient_apart")
                    .parameters([bands, bands_per_plane])
                    .rounds(band)
                    .invocations(bands, 8)
            }
            _ => {
                let elements = self.input.elements();
                let [over_y, over_x] = [0, 1].map(|axis| pool.kernel[axis].div_ceil(pool.stride[axis]));
                Kernel::new("ops/pool/max_gradient")
                    .rounds(over_y * (over_x + 1) + 1)
                    .parameter(elements)
                    .invocations(elements, 64)
            }
        };
        let kernel = window_index::packed(kernel, pool.places()).parameters(parameters);
        vec![kernel.inputs([0, 1]).outputs([0])]
    }
}

impl Operator for MaxPoolRecompute {
    fn name(&self) -> &'static str {
        "max pooling again"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("recomputed", self.0.windows().output(&inputs[0].shape)?)])
    }

    /// Of x as it is. An element that is the largest of several windows brings its error to each; the variance of a sum over
    /// them is that of independent errors where their gradients are as often of unlike signs as of like ones.
    fn error_role(&self, input: usize, _inputs: &[&Value]) -> ErrorRole {
        if input == 0 { ErrorRole::Propagates(&[]) } else { ErrorRole::Unknown }
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let (x, y) = (&context.inputs[0].shape, &context.outputs[0].shape);
        let kernel = window_index::packed(Kernel::new("ops/pool/max_recompute"), self.0.places())
            .parameters(self.0.parameters(x, y))
            .invocations(y.elements(), 64);
        vec![kernel.inputs([0, 1]).outputs([0])]
    }
}

impl Graph {
    /// Max pooling without padding, windows side by side.
    ///
    /// # Errors
    /// [`GraphError::Shape`] if the window does not fit.
    pub fn max_pool(&mut self, x: ValueId, window: usize) -> Result<ValueId, GraphError> {
        let pool = MaxPool { kernel: [window; 2], stride: [window; 2], padding: [0; 2] };
        self.apply_one(pool, &[x])
    }

    /// Max pooling with square windows over a padded value. Padding never wins.
    ///
    /// # Errors
    /// [`GraphError::Shape`] if the window does not fit.
    pub fn max_pool_padded(
        &mut self,
        x: ValueId,
        window: usize,
        stride: usize,
        padding: usize,
    ) -> Result<ValueId, GraphError> {
        self.apply_one(MaxPool { kernel: [window; 2], stride: [stride; 2], padding: [padding; 2] }, &[x])
    }
}
