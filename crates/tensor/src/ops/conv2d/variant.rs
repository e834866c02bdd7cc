//! Which kernels serve which convolution, and why.

use super::{Conv2d, Direction, Extents, direct, product};
use crate::ops::{Kernel, KernelContext, KernelSet};

/// A family of kernels that compute a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// From registers, lanes along output channels: drivers that run on CPU cores.
    Direct,
    /// Implicit matrix products: whatever the others do not serve.
    Product,
}

impl Variant {
    /// The first of these that serves the shape.
    pub fn of(direction: Direction, convolution: &Conv2d, e: &Extents, set: KernelSet) -> Self {
        let dense = e.groups == 1 && convolution.dilation == [1, 1];
        if set == KernelSet::Registers && dense && direct::serves(direction, convolution, e) {
            return Self::Direct;
        }
        Self::Product
    }
}

/// The kernel of a direction, and the number of partial sums that it makes: 1 unless it is the weights' gradient. Its
/// bindings lack only what it makes. The direction's inputs are those of its operator: x and w, w and dy, x and dy.
pub fn kernel(direction: Direction, convolution: &Conv2d, e: &Extents, context: &KernelContext) -> (Kernel, usize) {
    match Variant::of(direction, convolution, e, context.set) {
        Variant::Direct => direct::kernel(direction, convolution, e, context),
        Variant::Product => {
            let (kernel, parts) = product::kernel(direction, convolution, e, context.set);
            (kernel.inputs([0, 1]), parts)
        }
    }
}
