//! What no kernel gets below on an adapter: copying, and arithmetic in registers. For measurements; no net uses them.

use crate::ir::{Kernel, KernelContext, Operator, Output, Shape, Value};
use crate::ops::launch;

/// y = x, with nothing else to do.
#[derive(Debug)]
pub struct Copy;

/// Multiply-adds in registers alone: of each element of the output [`MultiplyAdds::EACH`].
#[derive(Debug)]
pub struct MultiplyAdds(pub Shape);

impl Operator for Copy {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("copy", inputs[0].shape.clone())])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let vectors = context.outputs[0].shape.elements().div_ceil(4);
        let pairs = vectors.div_ceil(2);
        let kernel = Kernel::new("ops/roofline/copy").parameters([pairs, vectors]).inputs([0]).outputs([0]);
        vec![kernel.invocations(pairs, 64)]
    }
}

impl MultiplyAdds {
    /// Sums that grow side by side, so that none has to wait for itself.
    const CHAINS: u32 = 12;
    /// Multiply-adds of a sum in one turn of the loop.
    const UNROLLED: u32 = 8;
    const TURNS: u32 = 256;
    /// Multiply-adds of each element.
    pub const EACH: u64 = (Self::CHAINS * Self::UNROLLED * Self::TURNS) as u64;
}

impl Operator for MultiplyAdds {
    fn name(&self) -> &'static str {
        "multiply-add"
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("sums", self.0.clone())])
    }

    fn multiply_adds(&self, _inputs: &[&Value], outputs: &[&Value]) -> u64 {
        Self::EACH * outputs[0].shape.elements() as u64
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let elements = context.outputs[0].shape.elements();
        let kernel = Kernel::new("ops/roofline/multiply_add")
            .variable("chains", Self::CHAINS)
            .variable("unrolled", Self::UNROLLED)
            .parameters([elements as u32, Self::TURNS])
            .parameters([0.999f32, 0.001]);
        vec![kernel.outputs([0]).invocations(elements, launch::ELEMENTWISE_WORKGROUP)]
    }
}
