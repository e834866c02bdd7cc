//! One bit per element: whether it lies in an open interval, for example above zero. All that the gradient of a rectifier
//! needs; exact.
//!
//! Bit `i % 32` of word `i / 32` belongs to element `i` in row-major order. The reading kernel takes the bits as they
//! are, so there is no decoder. A slice of a
//! batch has words of its own.

use crate::ir::{AlongBatch, Interval, Kernel, KernelContext, Operator, Output, Value};

/// Words for this many bits.
pub fn words(elements: usize) -> usize {
    elements.div_ceil(32)
}

/// The mask of a value.
#[derive(Debug)]
pub struct EncodeMask(pub Interval);

impl Operator for EncodeMask {
    fn name(&self) -> &'static str {
        "mask encode"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::words("mask", words(inputs[0].shape.elements()))])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let elements = context.inputs[0].shape.elements();
        let kernel = Kernel::new("codec/mask/encode")
            .variable("bounded", self.0.high < f32::INFINITY)
            .parameter(elements)
            .parameters([self.0.low, self.0.high])
            .inputs([0])
            .outputs([0])
            .invocations(words(elements), 64);
        vec![kernel]
    }
}
