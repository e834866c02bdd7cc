//! Error-bounded coding, as COMET (arXiv 2111.09562) has it: no element is off by more than a bound, which follows the
//! gradients (see `bound_controller.rs` for how).
//!
//! Elements become levels q = ⌊x / step + d⌋ and come back as (q − d + ½) · step, the step being a little less than twice
//! the bound. The dither d is in \[0, 1) and different for each element and step: errors are then uniform and independent of
//! the elements, as the theory of the bound wants them, and average out. Plain rounding codes coarse steps a little smaller,
//! but its errors follow the elements, and gradients suffer twice as much (`docs/rejected.md`).
//!
//! Levels are coded in tiles of 512 or more, each by one invocation (see `tiling.rs`):
//!
//! 1. as they are or as differences from the level to the left, whichever is smaller in the tile's last block;
//! 2. as 0, −1, 1, −2 … ↦ 0, 1, 2, 3 …, in Rice codes: u / 2^k zeros, a one, the k lower bits of u. Blocks of 64 to 128, at
//!    most eight in a tile, share k, the best of 0 to 3 or the logarithm of a larger mean; a block of zeros takes no bits at all;
//! 3. tiles with exact zeros without dither, so that zeros come back as zeros;
//! 4. tiles that this would not shrink, or in which one element would break the bound or is not finite, wait raw.
//!
//! **Masked:** where a rectifier's mask waits anyway, it says which elements are zero, and only the others are coded. The
//! encoder makes it on the way.
//!
//! **Promise:** |x̂ − x| ≤ bound for every element, checked as it is coded; zeros come back as zeros; raw tiles, and so
//! infinities and NaNs, bit for bit. (Some drivers take what is below 2^-126 for zero.)
//!
//! **Layout:** four words (the step, the dither's start, two spare), two for each tile (mode in two bits, place of its codes in thirty; k + 1
//! of its blocks, 0 for zeros, four bits each), then the payload. One atomic addition finds a tile its place, so places
//! differ from run to run; what is decoded does not. The payload's size is planned ([`crate::Plan::resized`]). A tile for
//! which the capacity is too small stops the step by [`crate::step::STOP_OVERFLOW`] in its status and decodes to zeros; the count of words in the report goes
//! on, so that it tells what would have been needed.
//!
//! **Slices** of a batch put their tiles into the same words, one slice after the other, where tiles keep to samples: they are coded as
//! in the whole, and read from it. Other values are coded whole.

mod bound_controller;
mod controller_state;
mod gain;
mod noise;
mod tiling;

pub use bound_controller::GradientReaders;
pub use controller_state::word;
pub use controller_state::{ControllerState, WORDS as CONTROLLER_STATE_WORDS};

use bound_controller::BoundController;
use tiling::{TILE, Tiling};

use super::MARGIN;
use super::{Attached, Codec, Site, mask, stream};
use crate::ir::{
    AlongBatch, BatchSlice, Graph, GraphError, Kernel, KernelContext, KernelSet, Operator, Output, Shape, Value,
    ValueId, want,
};
use std::rc::Rc;

/// Below, bounds are finer than single precision, and everything is kept as it is.
const LEAST_FRACTION: f32 = 1e-6;

const HEAD: usize = 4;
/// What the coded form is called, after the layer.
const WORDS: &str = "error_bounded";
/// Step over bound: a little under 2, so that rounding in single precision does not break the promise.
const STEP: f32 = 2.0 - 1.0 / 256.0;

/// What the bound of a value aims at: the standard deviation of the error of the weights' gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// This fraction of the minibatch gradient's own noise. A tenth adds one per cent to its variance.
    Noise(f32),
    /// This fraction of the mean magnitude of the momentum: COMET's rule, with its 0.01.
    Momentum(f32),
}

/// Coding to an error bound that follows the gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorBounded {
    /// What the bound aims at.
    pub target: Target,
    /// Steps between two renewals of the bound, once training has settled.
    pub interval: u32,
}

impl Default for ErrorBounded {
    /// A tenth of the gradient's noise, looked at every 50 steps.
    fn default() -> Self {
        Self { target: Target::Noise(0.1), interval: 50 }
    }
}

impl ErrorBounded {
    /// What is wrong with the settings, if anything.
    ///
    /// The error of a gradient is measured as a part of its noise. With a fraction F of noise s it therefore aims at F times
    /// s / √(1 − F²), which has no end as F nears 1: bounds then grow from renewal to renewal until they are infinite. The momentum
    /// of β = 0.9 is 1.83 times as large as the noise.
    ///
    /// # Errors
    /// Names the setting and its range.
    pub fn check(&self) -> Result<(), String> {
        let (fraction, most) = match self.target {
            Target::Noise(fraction) => (fraction, 0.5),
            Target::Momentum(fraction) => (fraction, 0.25),
        };
        let reason = format!(
            "fraction must lie between 0.000001 and {most}: with less no value shrinks, with more the error is taken for \
             noise in its turn and bounds grow without end"
        );
        want((LEAST_FRACTION..=most).contains(&fraction), reason)?;
        want((1..=1_000_000).contains(&self.interval), "interval must lie between 1 and 1000000")
    }

    /// Words of the payload that are planned before anything was measured: what a ResNet-8 took on CIFAR-10 after
    /// 600 steps (1.3 bits beside a mask and 2.8 without at a tenth of the noise), and a little more. A run replaces it before
    /// its first step.
    fn expected_words(&self, shape: &Shape, masked: bool) -> usize {
        let noise = match self.target {
            Target::Noise(fraction) => fraction,
            // The momentum is about twice as large as the noise.
            Target::Momentum(fraction) => 2.0 * fraction,
        };
        let bits = if masked { 1.3 - 0.42 * (noise / 0.1).log2() } else { 2.85 - 0.78 * (noise / 0.1).log2() };
        let words = shape.elements() as f64 * f64::from(bits.clamp(0.25, 30.0)) * MARGIN / 32.0;
        words as usize + 1
    }

    /// Tiles of a value.
    pub fn tiles(shape: &Shape) -> usize {
        Tiling::of(shape).all_tiles()
    }

    /// Elements of a tile; the last of a sample may have fewer.
    pub fn tile(shape: &Shape) -> usize {
        Tiling::of(shape).tile
    }

    /// Words before the payload.
    pub fn head_words(shape: &Shape) -> usize {
        head_words(&Tiling::of(shape))
    }
}

/// Words before the payload of a whole value.
fn head_words(tiling: &Tiling) -> usize {
    HEAD + 2 * tiling.all_tiles()
}

impl Codec for ErrorBounded {
    fn name(&self) -> &'static str {
        "error-bounded"
    }

    fn takes(&self, value: &Value) -> bool {
        value.shape.elements() >= TILE
    }

    /// Values whose errors the theory knows.
    fn serves(&self, graph: &Graph, readers: &GradientReaders, decoded: ValueId) -> bool {
        readers.any(graph, decoded)
    }

    fn attach(&self, graph: &mut Graph, site: &Site) -> Result<Attached, GraphError> {
        let value = graph.value(site.source).clone();
        let state = ControllerState::add(graph, &value.name)?;
        let status = graph.status()?;
        let masked = site.mask.is_some();
        let payload = self.expected_words(&value.shape, masked);
        let tiling = Tiling::of(&value.shape);
        Ok(Attached {
            encode: Rc::new(Encode { settings: *self, source: value.name.clone(), masked, payload, tiling }),
            encode_reads: vec![graph.control(), status, state],
            decode: Rc::new(Decode { shape: value.shape.clone(), tiling }),
            decode_reads: site.mask.into_iter().collect(),
            makes_mask: masked,
            data_sized: Some(Rc::new(BoundController {
                state,
                target: self.target,
                interval: self.interval,
                shape: value.shape.clone(),
            })),
        })
    }
}

/// Inputs: the value, control, status, state of the controller. Outputs: the words; masked, the mask, which falls out of the levels.
#[derive(Debug)]
struct Encode {
    settings: ErrorBounded,
    /// Name of the value.
    source: String,
    masked: bool,
    payload: usize,
    tiling: Tiling,
}

/// Codes the tiles of a further slice. Inputs: those of [`Encode`], then the words. Output: masked, the mask.
#[derive(Debug)]
struct EncodeTiles {
    masked: bool,
    tiling: Tiling,
}

/// Inputs: the words; masked, the mask.
#[derive(Debug)]
struct Decode {
    shape: Shape,
    tiling: Tiling,
}

/// A kernel of either direction; `words` is the whole size of the coded form.
fn kernel(shader: &'static str, tiling: &Tiling, words: &Value, masked: bool, set: KernelSet) -> Kernel {
    let width = if set == KernelSet::Registers { 8usize } else { 64 };
    let payload = head_words(tiling);
    Kernel::new(shader)
        .variable("masked", masked)
        .variable("width", width)
        .parameters([tiling.elements, tiling.tiles(), tiling.first, tiling.first_tile()])
        .parameters([tiling.tile.div_ceil(4), tiling.run.div_ceil(4), tiling.tiles_of_run()])
        .parameters([payload, words.shape.elements() - payload])
        .invocations(tiling.tiles(), width)
}

/// The mask of so many elements.
fn mask_output(elements: usize) -> Output {
    Output::words("mask", mask::words(elements))
}

impl Operator for Encode {
    fn name(&self) -> &'static str {
        "error-bounded encode"
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        self.settings.check()?;
        let words = Output::words(WORDS, head_words(&self.tiling) + self.payload);
        let mask = self.masked.then(|| mask_output(self.tiling.elements));
        Ok([words].into_iter().chain(mask).collect())
    }

    fn mutates(&self) -> &'static [usize] {
        &[2, 3]
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        match self.tiling.keeps_to_samples() {
            true => AlongBatch::Sum { whole: vec![1, 2, 3], mapped: self.masked.then_some(1).into_iter().collect() },
            false => AlongBatch::Whole,
        }
    }

    fn for_slice(&self, slice: BatchSlice) -> Option<Rc<dyn Operator>> {
        Some(Rc::new(Self { tiling: self.tiling.slice(slice), source: self.source.clone(), ..*self }))
    }

    fn adding(&self) -> Option<Rc<dyn Operator>> {
        let Self { masked, tiling, .. } = *self;
        Some(Rc::new(EncodeTiles { masked, tiling }))
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let words = context.outputs[0];
        let begin = Kernel::new("codec/error_bounded/begin")
            .parameter(STEP)
            .parameter(stream(&self.source, &words.name))
            .inputs([1, 3])
            .outputs([0])
            .workgroups(1);
        let encode = kernel("codec/error_bounded/encode", &self.tiling, words, self.masked, context.set);
        vec![begin, encode.inputs([0, 2, 3]).outputs(0..context.outputs.len())]
    }
}

impl Operator for EncodeTiles {
    fn name(&self) -> &'static str {
        "error-bounded encode"
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(self.masked.then(|| mask_output(self.tiling.elements)).into_iter().collect())
    }

    fn mutates(&self) -> &'static [usize] {
        &[2, 3, 4]
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::Sum { whole: vec![1, 2, 3, 4], mapped: self.masked.then_some(0).into_iter().collect() }
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let encode = kernel("codec/error_bounded/encode", &self.tiling, context.inputs[4], self.masked, context.set);
        vec![encode.inputs([0, 2, 3, 4]).outputs(0..context.outputs.len())]
    }
}

impl Operator for Decode {
    fn name(&self) -> &'static str {
        "error-bounded decode"
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("decoded", self.shape.clone())])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        if self.tiling.keeps_to_samples() { AlongBatch::map([0]) } else { AlongBatch::Whole }
    }

    fn for_slice(&self, slice: BatchSlice) -> Option<Rc<dyn Operator>> {
        Some(Rc::new(Self { shape: slice.shape(&self.shape), tiling: self.tiling.slice(slice) }))
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let masked = context.inputs.len() > 1;
        let decode = kernel("codec/error_bounded/decode", &self.tiling, context.inputs[0], masked, context.set);
        vec![decode.inputs(0..context.inputs.len()).outputs([0])]
    }
}
