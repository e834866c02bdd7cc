//! Memory for a value that nodes fill slice by slice.

use crate::ir::{Kernel, KernelContext, Operator, Output, Shape, Value};

/// A value in f32 of which nothing is written yet: no kernel. What follows [mutates](Operator::mutates) it, each node another part.
#[derive(Debug)]
pub(crate) struct Room {
    /// Short name of the value.
    pub name: &'static str,
    /// Its shape.
    pub shape: Shape,
}

impl Operator for Room {
    fn name(&self) -> &'static str {
        "room"
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new(self.name, self.shape.clone()).always_f32()])
    }

    fn kernels(&self, _context: &KernelContext) -> Vec<Kernel> {
        Vec::new()
    }
}
