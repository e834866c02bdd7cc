//! Which kernels serve which convolution, and why.

use super::{Conv2d, Direction, Extents, depthwise, direct, product};
use crate::ir::{Kernel, KernelContext, KernelSet, Operands};

/// A family of kernels that compute a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Strips of planes: each channel has filters of its own, and a matrix product would be one column wide.
    Depthwise,
    /// From registers, lanes along the output channels of a group: drivers that run on CPU cores, in f32.
    Direct,
    /// Implicit matrix products: whatever the others do not serve.
    Product,
}

impl Variant {
    /// The first of these that serves the shape.
    pub fn of(direction: Direction, convolution: &Conv2d, e: &Extents, set: KernelSet, operands: Operands) -> Self {
        // The oracle is one kernel for everything.
        if set == KernelSet::Naive {
            return Self::Product;
        }
        if depthwise::serves(direction, convolution, e) {
            return Self::Depthwise;
        }
        if set == KernelSet::Registers && operands == Operands::F32 && direct::serves(direction, convolution, e) {
            return Self::Direct;
        }
        Self::Product
    }
}

/// The kernel of a direction, and the number of partial sums that it makes: 1 unless it is the weights' gradient. Its
/// bindings lack only what it makes. The direction's inputs are those of its operator: x and w, w and dy, x and dy.
pub fn kernel(direction: Direction, convolution: &Conv2d, e: &Extents, context: &KernelContext) -> (Kernel, usize) {
    match Variant::of(direction, convolution, e, context.set, context.operands) {
        Variant::Depthwise => depthwise::kernel(direction, convolution, e, context.set),
        Variant::Direct => direct::kernel(direction, convolution, e, context),
        Variant::Product => {
            let (kernel, parts) = product::kernel(direction, convolution, e, context);
            (kernel.inputs([0, 1]), parts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::Shape;
    use Direction::{Forward, InputGradient, WeightGradient};
    use Variant::{Depthwise, Direct, Product};

    /// Variants of the three directions on adapters of a kind.
    fn variants(x: [usize; 4], w: [usize; 4], convolution: Conv2d, set: KernelSet) -> [Variant; 3] {
        let e = convolution.extents(&Shape::from(x), &Shape::from(w)).unwrap();
        [Forward, InputGradient, WeightGradient]
            .map(|direction| Variant::of(direction, &convolution, &e, set, Operands::F32))
    }

    #[test]
    fn shapes_get_the_kernels_made_for_them() {
        let of = |stride, padding, dilation, groups| Conv2d {
            stride: [stride; 2],
            padding: [padding; 2],
            more_padding: [0; 2],
            dilation: [dilation; 2],
            groups,
        };
        let [naive, tiles, registers] = [KernelSet::Naive, KernelSet::Tiles, KernelSet::Registers];
        let (x, dense, single) = ([2, 16, 14, 14], [16, 16, 3, 3], [16, 1, 3, 3]);
        assert_eq!(variants(x, dense, of(1, 1, 1, 1), registers), [Direct; 3]);
        assert_eq!(variants(x, dense, of(1, 1, 1, 1), tiles), [Product; 3]);
        for stride in 1..=4 {
            assert_eq!(variants(x, single, of(stride, 1, 1, 16), registers), [Depthwise; 3]);
            assert_eq!(variants(x, single, of(stride, 1, 1, 16), tiles), [Depthwise; 3]);
            assert_eq!(variants(x, single, of(stride, 1, 1, 16), naive), [Product; 3]);
        }
        let [groups, dilated] = [of(1, 1, 1, 4), of(1, 2, 2, 1)];
        assert_eq!(
            [variants(x, [16, 4, 3, 3], groups, registers), variants(x, dense, dilated, registers)],
            [[Direct; 3]; 2]
        );
        assert_eq!([variants(x, [16, 4, 3, 3], groups, tiles), variants(x, dense, dilated, tiles)], [[Product; 3]; 2]);
        assert_eq!(variants(x, dense, of(1, 6, 6, 1), registers), [Product; 3]);
        assert_eq!(variants(x, [32, 1, 3, 3], of(1, 1, 1, 16), tiles), [Depthwise, Product, Depthwise]);
        assert_eq!(variants(x, single, of(1, 3, 1, 16), tiles), [Depthwise, Product, Depthwise]);
        assert_eq!(variants(x, single, of(1, 5, 5, 16), tiles), [Product; 3]);
        // A net's first convolution may see one channel: that is a dense one.
        assert_eq!(variants([2, 1, 14, 14], single, of(1, 1, 1, 1), registers), [Direct; 3]);
    }
}
