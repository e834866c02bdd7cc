//! One bit per element: whether it is above zero. All that the gradient of a rectifier needs; exact.
//!
//! Bit `i % 32` of word `i / 32` belongs to element `i` in row-major order. The reading kernel takes the bits as they
//! are, so there is no decoder.

use crate::graph::Value;
use crate::ops::{Kernel, KernelContext, Operator, Output};

/// Words for this many bits.
pub fn words(elements: usize) -> usize {
    elements.div_ceil(32)
}

/// The mask of a value.
#[derive(Debug)]
pub struct EncodeMask;

impl Operator for EncodeMask {
    fn name(&self) -> &'static str {
        "mask encode"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::words("mask", words(inputs[0].shape.elements()))])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let elements = context.inputs[0].shape.elements();
        let kernel = Kernel::new("codec/mask/encode")
            .parameter(elements)
            .inputs([0])
            .outputs([0])
            .invocations(words(elements), 64);
        vec![kernel]
    }
}
