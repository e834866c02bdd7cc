//! IEEE halves, two in a word: the plain way to half the memory.
//!
//! Rounded to the nearest, ties to even, by integer arithmetic, so that every adapter gives the same bits and none needs
//! half-precision shaders. **Promise:** |x̂ − x| ≤ 2^-11·|x| from 2^-14 on, ≤ 2^-25 below; ±0 and infinities stay what they
//! are, a NaN stays one, and from 65,520 on values become infinite: divergence is not hidden.
//!
//! Layout: element 2i in the low half of word i, element 2i + 1 in the high half; nothing in the last high half of an odd
//! count.

use super::{Attached, Codec, Site};
use crate::ir::{
    AlongBatch, BatchSlice, Graph, GraphError, Kernel, KernelContext, KernelSet, Operator, Output, Precision, Shape,
    Value,
};
use std::rc::Rc;

/// Half precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct F16;

impl F16 {
    /// Words of a value.
    pub fn words(&self, shape: &Shape) -> usize {
        shape.elements().div_ceil(2)
    }
}

impl Codec for F16 {
    fn name(&self) -> &'static str {
        "f16"
    }

    /// All but a single element, which would take a word as well, and what memory holds in f16 anyway.
    fn takes(&self, value: &Value) -> bool {
        value.precision == Precision::F32 && value.shape.elements() > 1
    }

    fn attach(&self, graph: &mut Graph, site: &Site) -> Result<Attached, GraphError> {
        let shape = graph.shape(site.source).clone();
        Ok(Attached::plain(graph, Encode(*self), Decode(shape)))
    }
}

/// Inputs: the value, the control words, which it does not need.
#[derive(Debug)]
struct Encode(F16);

#[derive(Debug)]
struct Decode(Shape);

/// On GPUs four elements an invocation, for CPU-backed drivers 32.
fn kernel(shader: &'static str, elements: usize, set: KernelSet) -> Kernel {
    let vectors = elements.div_ceil(4);
    let run = if set == KernelSet::Tiles { 1 } else { 8 };
    let kernel = Kernel::new(shader).variable("run", run).parameters([elements, vectors]).inputs([0]).outputs([0]);
    kernel.invocations(vectors.div_ceil(run), 64)
}

impl Operator for Encode {
    fn name(&self) -> &'static str {
        "f16 encode"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::words("f16", self.0.words(&inputs[0].shape))])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([1])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        vec![kernel("codec/f16/encode", context.inputs[0].shape.elements(), context.set)]
    }
}

impl Operator for Decode {
    fn name(&self) -> &'static str {
        "f16 decode"
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("decoded", self.0.clone())])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([])
    }

    fn for_slice(&self, slice: BatchSlice) -> Option<Rc<dyn Operator>> {
        Some(Rc::new(Self(slice.shape(&self.0))))
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        vec![kernel("codec/f16/decode", self.0.elements(), context.set)]
    }
}
