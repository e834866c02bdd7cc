//! The record of a coded value: its bound, and what its coding and the gradients said. It lives across steps on the device
//! and is read back after each.

use crate::ir::{Element, Graph, GraphError, Init, Kind, ValueId};

/// Words of a record; `shaders/parts/record.wgsl` says which is which.
pub const WORDS: usize = 12;

/// What a record says after a step.
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
    /// The record of a value, made beside it. A bound of zero is that of a value about which nothing is known yet.
    pub(super) fn add(graph: &mut Graph, value: &str) -> Result<ValueId, GraphError> {
        let name = format!("{value}.record");
        graph.at_root(|graph| graph.persistent(&name, Kind::Record, [WORDS], Element::U32, Init::Constant(0.0)))
    }

    /// From the words of a record.
    pub fn read(words: &[u32]) -> Self {
        let float = |word: usize| f32::from_bits(words[word]);
        Self {
            bound: float(0),
            used: words[2],
            nonzero: words[3],
            worst: float(4),
            raw_tiles: words[5],
            density: float(6),
            gain: float(7),
            noise: float(8),
        }
    }

    /// The standard deviation that the theory predicts for the error of a weight's gradient: errors are uniform
    /// between −bound and bound on the elements that are not zero.
    pub fn predicted_error(&self) -> f32 {
        self.bound * (self.density / 3.0).sqrt() * self.gain
    }
}
