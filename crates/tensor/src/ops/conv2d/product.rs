//! Convolution as implicit matrix products, one for each group: any shape, on every adapter.

use super::{Conv2d, Direction, Extents};
use crate::ops::gemm::Gemm;
use crate::ops::{Kernel, KernelContext, KernelSet};

/// The kernel of a direction without bindings, and the number of partial sums that it makes.
pub fn kernel(direction: Direction, convolution: &Conv2d, e: &Extents, context: &KernelContext) -> (Kernel, usize) {
    let [channels, filters] = [e.channels, e.filters].map(|all| all / e.groups);
    let (shader, gemm) = match direction {
        Direction::Forward => {
            ("ops/conv2d/forward", Gemm::new(filters, e.samples * e.output_pixels(), channels * e.taps()))
        }
        Direction::InputGradient => {
            ("ops/conv2d/input_gradient", Gemm::new(channels, e.samples * e.input_pixels(), filters * e.taps()))
        }
        Direction::WeightGradient => {
            // The depth is N·OH·OW: long, while the product itself is small. It is cut until a GPU is full.
            let workgroups: usize = match context.set {
                KernelSet::Naive => 1,
                KernelSet::Tiles => 256,
                KernelSet::Registers => 32,
            };
            let gemm = Gemm::new(filters, channels * e.taps(), e.samples * e.output_pixels());
            ("ops/conv2d/weight_gradient", gemm.in_parts(context, workgroups.div_ceil(e.groups), 256))
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
    if convolution.dilation != [1, 1] {
        kernel = kernel.variable("dilated", true).parameters(convolution.dilation);
    }
    if e.groups > 1 {
        let workgroups = kernel.workgroups * e.groups;
        kernel = kernel.variable("grouped", true).parameters([channels, filters, gemm.parts]).workgroups(workgroups);
    }
    (kernel, gemm.parts)
}
