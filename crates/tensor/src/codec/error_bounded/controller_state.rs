//! The state of the controller of a bound: the bound, and what the coding of its value and the gradients said. It lives across
//! steps on the device and is read back after each.

use crate::ir::{Element, Graph, GraphError, Init, Role, ValueId};

/// The words of a state by their names; `shaders/parts/controller_state.wgsl` is written from them.
pub mod word {
    crate::step::constants! {
        /// The bound for the next step, an f32 as bits.
        BOUND = 0;
        /// The bound that the weights looked at so far ask for, an f32 as bits.
        CANDIDATE = 1;
        /// Words of payload that the coding took, or would have taken.
        USED = 2;
        /// Elements that are not zero.
        NONZERO = 3;
        /// The largest error of an element, an f32 as bits.
        WORST = 4;
        /// Tiles that are kept raw.
        RAW_TILES = 5;
        /// The share of elements that are not zero when the bound was last renewed, an f32 as bits.
        DENSITY = 6;
        /// What an error of deviation 1 does to the gradient of a weight, an f32 as bits.
        GAIN = 7;
        /// The noise of a weight's gradient, an f32 as bits.
        NOISE = 8;
        /// The largest magnitude of an element, an f32 as bits.
        LARGEST = 9;
    }
}

/// Words of a state, spare ones included.
pub const WORDS: usize = 12;

/// What the state of a controller says after a step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ControllerState {
    /// The bound for the next step.
    pub bound: f32,
    /// Words of payload that the step's coding took, or would have taken.
    pub used: u32,
    /// Elements that are not zero.
    pub nonzero: u32,
    /// The largest error of an element.
    pub worst: f32,
    /// Tiles that wait raw.
    pub raw_tiles: u32,
    /// Share of elements that are not zero, when the bound was last renewed.
    pub density: f32,
    /// By how much an error of the elements with a deviation of 1 moves the gradient of a weight that is read from all of
    /// them: the root of the mean over the output channels of Σ δ², by the share of positions that are not padding.
    pub gain: f32,
    /// The minibatch noise of a weight's gradient, or with COMET's target the momentum's mean magnitude.
    pub noise: f32,
}

impl ControllerState {
    /// Adds the state that belongs to a value. A bound of zero is that of a value about which nothing is known yet.
    pub(super) fn add(graph: &mut Graph, value: &str) -> Result<ValueId, GraphError> {
        let name = format!("{value}.record");
        graph.at_root(|graph| graph.persistent(&name, Role::Report, [WORDS], Element::U32, Init::Constant(0.0)))
    }

    /// From the words of a state.
    pub fn read(words: &[u32]) -> Self {
        let integer = |word: u32| words[word as usize];
        let float = |word: u32| f32::from_bits(words[word as usize]);
        Self {
            bound: float(word::BOUND),
            used: integer(word::USED),
            nonzero: integer(word::NONZERO),
            worst: float(word::WORST),
            raw_tiles: integer(word::RAW_TILES),
            density: float(word::DENSITY),
            gain: float(word::GAIN),
            noise: float(word::NOISE),
        }
    }

    /// The standard deviation that the theory predicts for the error of a weight's gradient: errors are uniform
    /// between −bound and bound on the elements that are not zero.
    pub fn predicted_error(&self) -> f32 {
        self.bound * (self.density / 3.0).sqrt() * self.gain
    }
}
