//! Moments of gradients in 8 bits: what an optimiser keeps of a large parameter, in a quarter of the memory.
//!
//! As block-wise dynamic quantisation (Dettmers et al., arXiv 2110.02861) does it, each 256 consecutive elements share a scale, the largest
//! magnitude among them, and codes are spread unevenly, so that small elements of a block keep their relative precision. One kernel
//! decodes a block, moves it, moves the parameter by what it moved to, and encodes it. With fractions of the scale from −1 to 1:
//!
//! - *signed* (momentum, Adam's mean): a sign and a number q = 2^i + k below 128, k < 2^i, for the fraction 8^(i−6) · (1/8 + 7/8 · (k + 1)/2^i):
//!   each octave of base 8 has half as many levels as the one above, 64 in the uppermost; 0 is 0. The paper has base 10, whose powers no
//!   float holds exactly.
//! - *square* (the mean of squares of Adam and RMSprop): a float with three bits of mantissa, the uppermost of which is 1, over 32 octaves;
//!   the code 0 is 0 and of nothing else: what updates divide by vanishes only where no gradient ever was.
//!
//! Codes are rounded by chance, with random numbers keyed by parameter, element, seed and step, so that the mean of what is decoded is what
//! was encoded. Rounded to nearest, a square that moves by a thousandth in each step would stay where it is: see the measurement in
//! `docs/results/state.md`.
//!
//! **Promise:** what is decoded is one of the two levels around what was encoded: for a signed moment at most 7/512 of the scale from it,
//! and 7/16 of it if it is above 8⁻⁴ of the scale; for a square at most 1/8 of it, if it is above 2^-31.75 of the scale; smaller ones become the smallest
//! level. The largest element of a block is exact. Scales are at least 2^-94. A block with an infinity or a NaN decodes to NaN
//! throughout: divergence is not hidden.
//!
//! Layout: the codes of a moment have the shape of the parameter and a byte each; the scales of all its moments are one value,
//! blocks × moments. A part of a parameter that begins with a block has parts of both.

use crate::ir::{Shape, Value};
use serde::Serialize;

/// In which form optimisers keep their state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub enum StateForm {
    /// In f32.
    #[default]
    #[serde(rename = "f32")]
    F32,
    /// In blocks of 8-bit codes with a scale each, of parameters with more than [`StateForm::LARGEST_IN_F32`] elements.
    #[serde(rename = "8bit")]
    EightBit,
}

/// Elements that share a scale.
pub const BLOCK: usize = 256;

impl StateForm {
    /// Parameters with so many elements or fewer have their state in f32 in any case: biases and the parameters of norms are few, and
    /// react strongly.
    pub const LARGEST_IN_F32: usize = 4096;

    /// Whether the state of this parameter is coded.
    pub fn codes(self, parameter: &Value) -> bool {
        self == Self::EightBit && parameter.shape.elements() > Self::LARGEST_IN_F32
    }
}

/// Extents of the scales of so many moments of a parameter.
pub(super) fn scales(parameter: &Shape, moments: usize) -> Shape {
    [parameter.elements().div_ceil(BLOCK), moments].into()
}
