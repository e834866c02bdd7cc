//! The frequency split of DIVISION (arXiv 2208.04187): the mean of each B×B block in bf16 carries the low frequencies,
//! what is left of each element is kept in Q bits.
//!
//! For each plane (the elements of one sample and channel):
//!
//! 1. means of its blocks, rounded to bf16; blocks at the right and lower edge are as small as they have to be;
//! 2. h = x − mean of the block; the plane's range \[min h, max h\] is rounded outwards to a bf16 minimum m and a bf16
//!    step s, so that m ≤ h ≤ m + s·(2^Q − 1);
//! 3. q = ⌊(h − m)/s + u⌋ with u uniform in \[0, 1): stochastic rounding, so that decoding is unbiased.
//!
//! Decoding gives mean + m + q·s. **Promise:** |x̂ − x| ≤ s, up to single-precision rounding, with s at most
//! (max h − min h)/(2^Q − 1) plus what rounding m and s outwards adds, and at least 2^-126; the mean of x̂ over u is x. A
//! plane with an infinity or a NaN decodes to NaN throughout: divergence is not hidden.
//!
//! **Parity** does what the code of the paper's authors does, for comparisons with their results:
//!
//! * blocks are k×k with k = min(B, rows), and a remainder at the edges has no mean of its own: the ⌊H/k⌋×⌊W/k⌋ means are
//!   stretched over the plane, element (i, j) getting mean (⌊i·⌊H/k⌋/H⌋, ⌊j·⌊W/k⌋/W⌋). A 14×14 plane has one mean, that
//!   of its upper left 8×8;
//! * s = (2^Q − 1)/(max h − min h + 2·10^-6) and m = min h code in single precision, q = round(max((h − m)·s + u − ½, 0)),
//!   and bf16 keeps them, rounded to the nearest: x̂ = mean + (q/s + m).
//!
//! Its promise is weaker: an error of a step, 1/s, and what the rounding of m and s shifts: 2^-9·|m| + 2^-8·(2^Q − 1)/s; not
//! quite zero on average. Where q would leave Q bits, by a last bit of rounding, it is held at the largest; the authors' code
//! runs into the next element.
//!
//! Layout, words per plane: one (m low half, s high half), then ⌈means/2⌉ (two means each), then ⌈elements·Q/32⌉ codes. If the
//! last word of codes is no more than half full and the number of means is odd, it lies in the half that the last mean leaves:
//! a 7×7 plane at Q = 2 takes five words. Slices of a batch are whole planes, and decode to the bits of the whole.

use super::{Attached, Codec, Site, numbers};
use crate::ir::{
    AlongBatch, BatchSlice, Graph, GraphError, Kernel, KernelContext, KernelSet, Operator, Output, Parameter, Shape,
    Value, want,
};
use crate::ops::launch::MOST_ITERATIONS;
use std::rc::Rc;

/// Frequency split with block size B and Q bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrequencySplit {
    /// B: extent of a block.
    pub block: usize,
    /// Q: bits per element for what the block means leave.
    pub bits: usize,
    /// Whether to do as the authors' code does.
    pub parity: bool,
}

impl Default for FrequencySplit {
    /// The paper's B = 8, Q = 2.
    fn default() -> Self {
        Self { block: 8, bits: 2, parity: false }
    }
}

impl FrequencySplit {
    /// Means down and across, and the extent of a block.
    pub fn means(&self, height: usize, width: usize) -> [usize; 3] {
        if self.parity {
            let block = self.block.min(height);
            return [height / block, width / block, block];
        }
        [height.div_ceil(self.block), width.div_ceil(self.block), self.block]
    }

    /// Words of one plane: range, means, codes. The last codes may lie beside the last mean.
    pub fn plane_words(&self, height: usize, width: usize) -> [usize; 3] {
        let [down, across, _] = self.means(height, width);
        let (means, bits) = (down * across, height * width * self.bits);
        let beside = means % 2 == 1 && (1..=16).contains(&(bits % 32));
        [1, means.div_ceil(2), if beside { bits / 32 } else { bits.div_ceil(32) }]
    }

    /// Words of codes in one plane, wherever the last of them lies.
    fn code_words(&self, height: usize, width: usize) -> usize {
        (height * width * self.bits).div_ceil(32)
    }

    /// Words of a value; none if it has no planes, or planes without a mean.
    pub fn words(&self, shape: &Shape) -> Option<usize> {
        let [n, c, h, w] = shape.nchw()?;
        (h > 0 && self.means(h, w)[1] > 0).then(|| n * c * self.plane_words(h, w).iter().sum::<usize>())
    }

    /// What is wrong with the settings, if anything.
    ///
    /// # Errors
    /// Names the setting and its range.
    pub fn check(&self) -> Result<(), String> {
        want([1, 2, 4, 8].contains(&self.bits), "bits must be 1, 2, 4 or 8")?;
        want((2..=64).contains(&self.block), "block must lie between 2 and 64")
    }

    /// Whether kernels share a plane among invocations: on GPUs, and where the plane is too large for one.
    fn shares_planes(&self, h: usize, w: usize, set: KernelSet) -> bool {
        set == KernelSet::Tiles || 3 * self.walk(h, w) > MOST_ITERATIONS
    }

    /// Rounds of a walk over all cells, row by row in each; the encoder makes three of them at most.
    fn walk(&self, h: usize, w: usize) -> usize {
        let [down, across, _] = self.means(h, w);
        let vectors = h * w / if self.vector(h, w) { 4 } else { 1 };
        vectors + 2 * h * across + 2 * down * across
    }

    /// Rounds of all loops of an invocation, at most.
    fn rounds(&self, h: usize, w: usize, shares_planes: bool) -> usize {
        let [down, across, _] = self.means(h, w);
        if !shares_planes {
            return 3 * self.walk(h, w);
        }
        // One of 64: pairs of cells, each looked at row by row and with parity twice, then words of at most 32 codes.
        let rows_of_pair = 2 * (h.div_ceil(down) + self.block + 3);
        (down * across).div_ceil(128) * rows_of_pair + self.code_words(h, w).div_ceil(64) * 34 + 16
    }

    /// Whether rows and cells are whole vectors of four.
    fn vector(&self, h: usize, w: usize) -> bool {
        let [_, across, block] = self.means(h, w);
        let whole = if self.parity { 4 * across } else { 4 };
        block.is_multiple_of(4) && w.is_multiple_of(whole)
    }

    /// Elements of a word of codes that always lie in one cell, wherever in a plane they start.
    fn run(&self, h: usize, w: usize) -> usize {
        let [down, across, block] = self.means(h, w);
        let fits = |run: &usize| match (down * across, self.parity) {
            (1, _) => true,
            (_, false) => w.is_multiple_of(*run) && block.is_multiple_of(*run),
            (_, true) => w.is_multiple_of(across * run),
        };
        [32, 16, 8, 4, 2].into_iter().find(|run| run * self.bits <= 32 && fits(run)).unwrap_or(1)
    }

    /// A kernel of either direction: CPU-backed drivers get one invocation per plane, which walks along the rows without
    /// dividing indices; otherwise the caller says how many workgroups.
    fn kernel(&self, shader: &'static str, shape: &Shape, set: KernelSet, numbers: [Parameter; 2]) -> Kernel {
        let [n, c, h, w] = shape.nchw().expect("the codec takes only N×C×H×W");
        let [range, means, codes] = self.plane_words(h, w);
        let [down, across, block] = self.means(h, w);
        let tiles = self.shares_planes(h, w, set);
        let kernel = Kernel::new(shader)
            .rounds(self.rounds(h, w, tiles))
            .variable("bits", self.bits)
            .variable("vector", self.vector(h, w))
            .variable("parity", self.parity)
            .variable("run", self.run(h, w))
            .variable("tiles", tiles)
            .parameters([n * c, h, w, block, down, across])
            .parameters([range + means, self.code_words(h, w), range + means + codes])
            .parameters(numbers);
        if tiles { kernel } else { kernel.invocations(n * c, 8) }
    }
}

impl Codec for FrequencySplit {
    fn name(&self) -> &'static str {
        "frequency-split"
    }

    /// Values with rows and columns: a split of single elements would cost more than they do.
    fn takes(&self, value: &Value) -> bool {
        let smaller = |shape: &Shape| self.words(shape).is_some_and(|words| 4 * (words as u64) < value.bytes());
        value.shape.nchw().is_some_and(|[_, _, h, w]| h > 1 && w > 1) && smaller(&value.shape)
    }

    fn attach(&self, graph: &mut Graph, site: &Site) -> Result<Attached, GraphError> {
        let shape = graph.shape(site.source).clone();
        Ok(Attached::plain(graph, Encode(*self), Decode { codec: *self, shape }))
    }
}

/// Inputs: the value, the control words.
#[derive(Debug)]
struct Encode(FrequencySplit);

#[derive(Debug)]
struct Decode {
    codec: FrequencySplit,
    shape: Shape,
}

impl Operator for Encode {
    fn name(&self) -> &'static str {
        "frequency-split encode"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        self.0.check()?;
        let words =
            self.0.words(&inputs[0].shape).ok_or("the value must be N×C×H×W, with planes wide enough for a block")?;
        Ok(vec![Output::words("frequency_split", words)])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([1])
    }

    /// On GPUs one workgroup for each plane.
    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let shape = &context.inputs[0].shape;
        let [n, c, h, w] = shape.nchw().expect("checked by outputs");
        let [_, across, block] = self.0.means(h, w);
        let widest = if self.0.parity { w.div_ceil(across) } else { w.min(block) };
        let wide = if self.0.vector(h, w) { widest / 4 } else { widest };
        let kernel = self.0.kernel("codec/frequency_split/encode", shape, context.set, numbers(context));
        let kernel = kernel.variable("wide", wide);
        let shared = self.0.shares_planes(h, w, context.set);
        let kernel = if shared { kernel.workgroups(n * c) } else { kernel };
        vec![kernel.inputs([0, 1]).outputs([0])]
    }
}

impl Operator for Decode {
    fn name(&self) -> &'static str {
        "frequency-split decode"
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

    /// On GPUs one invocation per word of codes.
    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let [n, c, h, w] = self.shape.nchw().expect("the codec takes only N×C×H×W");
        let codes = self.codec.code_words(h, w);
        let kernel = self.codec.kernel("codec/frequency_split/decode", &self.shape, context.set, [Parameter(0); 2]);
        let shared = self.codec.shares_planes(h, w, context.set);
        let kernel = if shared { kernel.invocations(n * c * codes, 64) } else { kernel };
        vec![kernel.inputs([0]).outputs([0])]
    }
}
