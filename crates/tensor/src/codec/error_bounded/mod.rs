//! Error-bounded coding, as COMET (arXiv 2111.09562) has it: no element is off by more than a bound, which follows the
//! gradients (see `bound_controller.rs` for how).
//!
//! Elements become levels q = ⌊x / step + d⌋ and come back as (q − d + ½) · step, the step being a little less than twice
//! the bound. The dither d is in \[0, 1) and different for each element and step: errors are then uniform and independent of
//! the elements, as the theory of the bound wants them, and average out. Plain rounding codes coarse steps a little smaller,
//! but its errors follow the elements, and gradients suffer twice as much (`docs/rejected.md`).
//!
//! Levels are coded in tiles of 512, each by one invocation:
//!
//! 1. as they are or as differences from the level to the left, whichever is smaller in the tile's last block;
//! 2. as 0, −1, 1, −2 … ↦ 0, 1, 2, 3 …, in Rice codes: u / 2^k zeros, a one, the k lower bits of u. Blocks of 64 share k, the
//!    best of 0 to 3 or the logarithm of a larger mean; a block of zeros takes no bits at all;
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

mod bound_controller;
mod controller_state;

pub use bound_controller::GradientReaders;
pub use controller_state::word;
pub use controller_state::{ControllerState, WORDS as CONTROLLER_STATE_WORDS};

use bound_controller::BoundController;

use super::MARGIN;
use super::{Attached, Codec, Site, mask, stream};
use crate::ir::{Graph, GraphError, Kernel, KernelContext, KernelSet, Operator, Output, Shape, Value, ValueId, want};
use std::rc::Rc;

/// Below, bounds are finer than single precision, and everything is kept as it is.
const LEAST_FRACTION: f32 = 1e-6;

const TILE: usize = 512;
const HEAD: usize = 4;
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
        shape.elements().div_ceil(TILE)
    }

    /// Words before the payload.
    pub fn head_words(shape: &Shape) -> usize {
        HEAD + 2 * Self::tiles(shape)
    }
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
        Ok(Attached {
            encode: Rc::new(Encode { settings: *self, masked, payload }),
            encode_reads: vec![graph.control(), status, state],
            decode: Rc::new(Decode { shape: value.shape.clone() }),
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
    masked: bool,
    payload: usize,
}

/// Inputs: the words; masked, the mask.
#[derive(Debug)]
struct Decode {
    shape: Shape,
}

/// A kernel of either direction; `words` is the whole size of the coded form.
fn kernel(shader: &'static str, shape: &Shape, words: &Value, masked: bool, set: KernelSet) -> Kernel {
    let tiles = ErrorBounded::tiles(shape);
    let width = if set == KernelSet::Registers { 8usize } else { 64 };
    let payload = ErrorBounded::head_words(shape);
    Kernel::new(shader)
        .variable("masked", masked)
        .variable("width", width)
        .parameters([shape.elements(), tiles, payload, words.shape.elements() - payload])
        .invocations(tiles, width)
}

impl Operator for Encode {
    fn name(&self) -> &'static str {
        "error-bounded encode"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        self.settings.check()?;
        let words = ErrorBounded::head_words(&inputs[0].shape) + self.payload;
        let mask = self.masked.then(|| Output::words("mask", mask::words(inputs[0].shape.elements())));
        Ok([Output::words("error_bounded", words)].into_iter().chain(mask).collect())
    }

    fn mutates(&self) -> &'static [usize] {
        &[2, 3]
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let begin = Kernel::new("codec/error_bounded/begin")
            .parameter(STEP)
            .parameter(stream(context))
            .inputs([1, 3])
            .outputs([0])
            .workgroups(1);
        let (shape, words) = (&context.inputs[0].shape, context.outputs[0]);
        let encode = kernel("codec/error_bounded/encode", shape, words, self.masked, context.set);
        vec![begin, encode.inputs([0, 2, 3]).outputs(0..context.outputs.len())]
    }
}

impl Operator for Decode {
    fn name(&self) -> &'static str {
        "error-bounded decode"
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("decoded", self.shape.clone())])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let masked = context.inputs.len() > 1;
        let decode = kernel("codec/error_bounded/decode", &self.shape, context.inputs[0], masked, context.set);
        vec![decode.inputs(0..context.inputs.len()).outputs([0])]
    }
}
