//! Floats of 8 bits with a scale for each group of elements, as COAT (arXiv 2410.19313) keeps activations.
//!
//! An element becomes an E4M3: a sign, four bits of exponent and three of significand, from 2^-9 to 448, with a NaN and no
//! infinities. Each group of G consecutive elements has a scale s, a power of two, as small as lets the largest finite
//! magnitude of the group round to 448·s or less, and no less than 2^-117. An element x becomes the E4M3 nearest to x/s,
//! ties to even, by integer arithmetic, so that every adapter gives the same bits.
//!
//! **Promise:** |x̂ − x| ≤ 2^-4·|x| where |x| ≥ 2^-6·s, and ≤ 2^-10·s below, with s at most 2^-7 of the group's largest
//! magnitude or 2^-117. Zeros keep their sign and are exact. An infinity or a NaN decodes to a NaN, and changes no other
//! element. Rounding draws no random numbers, so the same value gives the same
//! code in every step.
//!
//! Layout: a word for each group (s as an f32), then 8 bits for each element in order. The last group may be shorter; up to
//! three codes beyond the last element mean nothing.

use super::{Attached, Codec, Site};
use crate::ir::{
    AlongBatch, BatchSlice, Graph, GraphError, Kernel, KernelContext, KernelSet, Operator, Output, Shape, Value, want,
};
use std::rc::Rc;

/// 8-bit floats in groups of G that share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Float8 {
    /// G: elements that share a scale.
    pub group: usize,
}

impl Default for Float8 {
    /// Groups of 256, so that a value takes as much as in `uniform:8`.
    fn default() -> Self {
        Self { group: 256 }
    }
}

impl Float8 {
    /// Words of a value: scales, codes.
    pub fn words(&self, shape: &Shape) -> [usize; 2] {
        let elements = shape.elements();
        [elements.div_ceil(self.group), elements.div_ceil(4)]
    }

    /// What is wrong with the settings, if anything.
    ///
    /// # Errors
    /// Names the setting and its range.
    pub fn check(&self) -> Result<(), String> {
        let fits = self.group.is_power_of_two() && (16..=1024).contains(&self.group);
        want(fits, "group must be 16, 32, 64, 128, 256, 512 or 1024")
    }

    fn kernel(&self, shader: &'static str, shape: &Shape) -> Kernel {
        let [groups, _] = self.words(shape);
        Kernel::new(shader)
            .variable("group", self.group)
            .parameters([shape.elements(), groups])
            .inputs([0])
            .outputs([0])
    }
}

impl Codec for Float8 {
    fn name(&self) -> &'static str {
        "float8"
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

/// Inputs: the value, the control words, which it does not need.
#[derive(Debug)]
struct Encode(Float8);

#[derive(Debug)]
struct Decode {
    codec: Float8,
    shape: Shape,
}

impl Operator for Encode {
    fn name(&self) -> &'static str {
        "float8 encode"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        self.0.check()?;
        Ok(vec![Output::words("float8", self.0.words(&inputs[0].shape).iter().sum())])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([1])
    }

    /// On GPUs one workgroup per group, for CPU-backed drivers one invocation.
    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let shape = &context.inputs[0].shape;
        let [groups, _] = self.0.words(shape);
        let tiles = context.set == KernelSet::Tiles;
        let kernel = self.0.kernel("codec/float8/encode", shape).variable("tiles", tiles);
        vec![if tiles { kernel.workgroups(groups) } else { kernel.invocations(groups, 8) }]
    }
}

impl Operator for Decode {
    fn name(&self) -> &'static str {
        "float8 decode"
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

    /// On GPUs four elements an invocation, for CPU-backed drivers 16, which share the load of their scale.
    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let run = if context.set == KernelSet::Tiles { 1 } else { 4 };
        let runs = self.shape.elements().div_ceil(4 * run);
        vec![self.codec.kernel("codec/float8/decode", &self.shape).variable("run", run).invocations(runs, 64)]
    }
}
