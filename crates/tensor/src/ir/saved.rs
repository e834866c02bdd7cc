//! Saved tensors: what gradient rules read of the forward pass.

use super::{Graph, Role, Value, ValueId};
use std::hash::{Hash, Hasher};

/// An open interval; without an upper end if that is infinite.
#[derive(Clone, Copy, Debug)]
pub struct Interval {
    /// What all its elements are above.
    pub low: f32,
    /// What all its elements are below, unless it is infinite.
    pub high: f32,
}

impl Interval {
    /// Everything above zero.
    pub const POSITIVE: Self = Self { low: 0.0, high: f32::INFINITY };

    fn bits(self) -> [u32; 2] {
        [self.low, self.high].map(f32::to_bits)
    }
}

impl PartialEq for Interval {
    fn eq(&self, other: &Self) -> bool {
        self.bits() == other.bits()
    }
}

impl Eq for Interval {}

impl Hash for Interval {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits().hash(state);
    }
}

/// How much of a forward value a gradient rule needs. The less, the less is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Need {
    /// All elements; a policy may store them with an error.
    Values,
    /// Only which elements lie in an interval.
    Within(Interval),
    /// The elements as they are: window indices, batch statistics, logits.
    Exact,
}

/// A forward value that a gradient rule reads again.
///
/// Backward nodes read `decoded`, a value that nothing makes yet: the pass `save_tensors` decides
/// whether it is the source itself, comes out of a codec or is recomputed of others. One source may be kept under
/// several decoded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SavedTensor {
    /// The forward value.
    pub source: ValueId,
    /// How much of it is needed.
    pub need: Need,
    /// What the backward nodes read.
    pub decoded: ValueId,
}

impl Graph {
    /// Saves a value for the backward pass, whose nodes read the value that is returned.
    pub(crate) fn save(&mut self, source: ValueId, need: Need) -> ValueId {
        let role = Role::Stored;
        let decoded =
            self.add_value(Value { role, read_back: false, needs_gradient: false, ..self.value(source).clone() });
        self.saved_tensors.push(SavedTensor { source, need, decoded });
        decoded
    }

    pub(crate) fn set_saved_tensors(&mut self, saved: Vec<SavedTensor>) {
        self.saved_tensors = saved;
    }
}
