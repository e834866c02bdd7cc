//! Convolution as implicit matrix products, one for each group: any shape, on every adapter.

use super::{Conv2d, Direction, Extents, tiles};
use crate::ir::{Kernel, KernelContext, KernelSet};
use crate::ops::gemm::{self, Gemm};

/// The kernel of a direction without bindings, and the number of partial sums that it makes.
pub fn kernel(direction: Direction, convolution: &Conv2d, e: &Extents, context: &KernelContext) -> (Kernel, usize) {
    let [channels, filters] = [e.channels, e.filters].map(|all| all / e.groups);
    let shader = match direction {
        Direction::Forward => "ops/conv2d/forward",
        Direction::InputGradient => "ops/conv2d/input_gradient",
        Direction::WeightGradient => "ops/conv2d/weight_gradient",
    };
    let extents = extents(direction, e);
    let chosen = gemm::chosen(context, &tiles::work(direction, convolution, e));
    let gemm = match direction {
        Direction::Forward | Direction::InputGradient => Gemm::new(context, extents, chosen),
        Direction::WeightGradient => {
            // The depth is N·OH·OW: long, while the product itself is small. It is cut until a GPU is full.
            let workgroups: usize = match context.set {
                KernelSet::Naive => 1,
                KernelSet::Tiles => gemm::WORKGROUPS,
                KernelSet::Registers => 32,
            };
            Gemm::in_parts(context, extents, chosen, workgroups.div_ceil(e.groups), 256)
        }
    };
    let mut kernel = gemm
        .kernel(shader, context)
        .parameters([e.channels, e.input[0], e.input[1], e.filters])
        .parameters(e.kernel)
        .parameters(e.output)
        .parameters(convolution.stride)
        .parameters(convolution.padding)
        .parameter(e.samples);
    if direction == Direction::InputGradient {
        let [stride_y, stride_x] = convolution.stride;
        kernel = kernel.variable("stride_y", stride_y).variable("stride_x", stride_x);
    }
    if e.is_pointwise(convolution) {
        kernel = kernel.variable("pointwise", true);
    }
    if convolution.dilation != [1, 1] {
        kernel = kernel.variable("dilated", true).parameters(convolution.dilation);
    }
    if e.groups > 1 {
        let workgroups = kernel.workgroups * e.groups;
        kernel = kernel.variable("grouped", true).parameters([channels, filters, gemm.parts]).workgroups(workgroups);
    }
    (kernel, gemm.parts)
}

/// Rows, columns and depth of the product that each group is.
fn extents(direction: Direction, e: &Extents) -> [usize; 3] {
    let [channels, filters] = [e.channels, e.filters].map(|all| all / e.groups);
    match direction {
        Direction::Forward => [filters, e.samples * e.output_pixels(), channels * e.taps()],
        Direction::InputGradient => [channels, e.samples * e.input_pixels(), filters * e.taps()],
        Direction::WeightGradient => [filters, channels * e.taps(), e.samples * e.output_pixels()],
    }
}

impl Extents {
    /// Whether every output pixel reads the one input pixel at its own place: a plain product.
    fn is_pointwise(&self, convolution: &Conv2d) -> bool {
        self.taps() == 1 && convolution.stride == [1, 1] && convolution.padding == [0, 0] && self.input == self.output
    }
}
