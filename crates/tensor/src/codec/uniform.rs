//! Uniform quantisation in groups, as ActNN (arXiv 2104.14129) and GACT (arXiv 2206.11357) have it: the known yardstick.
//!
//! For each group of G consecutive elements:
//!
//! 1. its range \[min x, max x\] is rounded outwards to a bf16 minimum m and a bf16 step s, so that m ≤ x ≤ m + s·(2^b − 1);
//! 2. q = ⌊(x − m)/s + u⌋ with u uniform in \[0, 1): stochastic rounding, so that decoding is unbiased.
//!
//! Decoding gives m + q·s. **Promise:** |x̂ − x| ≤ s, up to single-precision rounding, with s at most
//! (max x − min x)/(2^b − 1) plus what rounding m and s outwards adds, and at least 2^-126; the mean of x̂ over u is x. A
//! group with an infinity or a NaN, or with a range too wide for a single, decodes to NaN throughout: divergence is not
//! hidden.
//!
//! **Zeros** that are the least of their group stay exactly zero, because m is zero then: those behind a rectifier do.
//! Where a group has values on both sides of zero, zero is a value like any other and becomes one of the two levels beside
//! it, by chance.
//!
//! Layout: a word for each group (m low half, s high half), then b bits for each element in order. The last group may be
//! shorter; up to three codes beyond the last element mean nothing.
//!
//! **Slices** of a batch begin a group each: with whole groups in each they decode to the bits of the whole, otherwise they keep the
//! promise.

use super::{Attached, Codec, Site, numbers};
use crate::ir::{
    AlongBatch, BatchSlice, Graph, GraphError, Kernel, KernelContext, KernelSet, Operator, Output, Parameter, Shape,
    Value, want,
};
use std::rc::Rc;

/// Uniform quantisation with b bits in groups of G.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uniform {
    /// b: bits per element.
    pub bits: usize,
    /// G: elements that share a range.
    pub group: usize,
}

impl Default for Uniform {
    /// ActNN's 2 bits in groups of 256.
    fn default() -> Self {
        Self { bits: 2, group: 256 }
    }
}

impl Uniform {
    /// Words of a value: ranges, codes.
    pub fn words(&self, shape: &Shape) -> [usize; 2] {
        let elements = shape.elements();
        [elements.div_ceil(self.group), (elements * self.bits).div_ceil(32)]
    }

    /// What is wrong with the settings, if anything.
    ///
    /// # Errors
    /// Names the setting and its range.
    pub fn check(&self) -> Result<(), String> {
        want([1, 2, 4, 8].contains(&self.bits), "bits must be 1, 2, 4 or 8")?;
        let fits = self.group.is_power_of_two() && (32..=1024).contains(&self.group);
        want(fits, "group must be 32, 64, 128, 256, 512 or 1024")
    }

    fn kernel(&self, shader: &'static str, shape: &Shape, numbers: [Parameter; 2]) -> Kernel {
        let [groups, _] = self.words(shape);
        Kernel::new(shader)
            .variable("bits", self.bits)
            .variable("group", self.group)
            .parameters([shape.elements(), groups])
            .parameters(numbers)
    }
}

impl Codec for Uniform {
    fn name(&self) -> &'static str {
        "uniform"
    }

    /// Values of any shape with at least one whole group.
    fn takes(&self, value: &Value) -> bool {
        value.shape.elements() >= self.group
    }

    fn attach(&self, graph: &mut Graph, site: &Site) -> Result<Attached, GraphError> {
        let shape = graph.shape(site.source).clone();
        Ok(Attached::plain(graph, Encode(*self), Decode { codec: *self, shape }))
    }
}

/// Inputs: the value, the control words.
#[derive(Debug)]
struct Encode(Uniform);

#[derive(Debug)]
struct Decode {
    codec: Uniform,
    shape: Shape,
}

impl Operator for Encode {
    fn name(&self) -> &'static str {
        "uniform encode"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        self.0.check()?;
        Ok(vec![Output::words("uniform", self.0.words(&inputs[0].shape).iter().sum())])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([1])
    }

    /// On GPUs one workgroup per group, for CPU-backed drivers one invocation.
    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let shape = &context.inputs[0].shape;
        let [groups, _] = self.0.words(shape);
        let tiles = context.set == KernelSet::Tiles;
        let kernel = self.0.kernel("codec/uniform/encode", shape, numbers(context)).variable("tiles", tiles);
        let kernel = if tiles { kernel.workgroups(groups) } else { kernel.invocations(groups, 8) };
        vec![kernel.inputs([0, 1]).outputs([0])]
    }
}

impl Operator for Decode {
    fn name(&self) -> &'static str {
        "uniform decode"
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("decoded", self.shape.clone())])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([])
    }

    fn for_slice(&self, slice: BatchSlice) -> Option<Rc<dyn Operator>> {
        Some(Rc::new(Self { shape: slice.shape(&self.shape), ..*self }))
    }

    /// On GPUs four elements an invocation, for CPU-backed drivers 32, which share the load of their range.
    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let run = if context.set == KernelSet::Tiles { 1 } else { 8 };
        let runs = self.shape.elements().div_ceil(4 * run);
        let kernel = self.codec.kernel("codec/uniform/decode", &self.shape, [Parameter(0); 2]).variable("run", run);
        vec![kernel.inputs([0]).outputs([0]).invocations(runs, 64)]
    }
}
