//! Slices along the batch: samples are the outermost axis, so a slice of a value is a part of its memory.
//!
//! Operators say here how they go along the batch; the pass [`slice_batch`](crate::passes) runs them slice by slice.

use super::{Operator, Shape, ValueId};
use std::rc::Rc;

/// What a value is a part of, along the outermost axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The whole.
    pub of: ValueId,
    /// Elements of the whole in front of it. Random numbers count from there, so that parts draw what the whole would.
    pub first: usize,
    /// Bytes of the whole's memory in front of it, a multiple of [`super::ALIGNMENT`], for a *window*: it has no memory of its
    /// own. A *piece* has none, and a whole of pieces has no memory.
    pub offset: Option<u64>,
}

/// How an operator goes along the outermost axis of what it reads and makes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AlongBatch {
    /// It needs everything at once, or nothing is known of it.
    Whole,
    /// Each range of samples of all outputs comes of the same range of the inputs, with the bits that it has in the whole: tiles may
    /// follow the number of samples, but no sum may add its terms in another order for that.
    Map {
        /// The inputs that each slice reads in full, such as weights and statistics.
        whole: Vec<usize>,
    },
    /// Its outputs exist in full from the first slice on, and each slice adds its share ([`Operator::adding`]): sums over samples, or
    /// words of which each slice writes some.
    Sum {
        /// The inputs that each slice reads in full.
        whole: Vec<usize>,
        /// The outputs that are those of a map all the same.
        mapped: Vec<usize>,
    },
}

impl AlongBatch {
    /// A map whose inputs at these places are read in full.
    pub fn map(whole: impl Into<Vec<usize>>) -> Self {
        Self::Map { whole: whole.into() }
    }

    /// A sum over samples, whose inputs at these places are read in full.
    pub fn sum(whole: impl Into<Vec<usize>>) -> Self {
        Self::Sum { whole: whole.into(), mapped: Vec::new() }
    }
}

/// A range of samples of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BatchSlice {
    /// The first sample.
    pub first: usize,
    /// Samples.
    pub samples: usize,
    /// Samples of the batch.
    pub of: usize,
}

impl BatchSlice {
    /// The share of a count that grows with the batch, such as the outermost extent of a shape: a whole number of them belongs to each
    /// sample.
    pub fn share(&self, count: usize) -> usize {
        count / self.of * self.samples
    }

    /// The shape of the slice of a value of this shape.
    pub fn shape(&self, whole: &Shape) -> Shape {
        let mut extents = whole.extents().to_vec();
        if let Some(outermost) = extents.first_mut() {
            *outermost = self.share(*outermost);
        }
        Shape::new(extents)
    }

    /// How much of such a count belongs to the samples in front.
    pub fn before(&self, count: usize) -> usize {
        count / self.of * self.first
    }
}

/// A value that a step of a split operator reads or makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SplitValue {
    /// An input of the operator.
    Input(usize),
    /// An output of the operator.
    Output(usize),
    /// What a step makes and later ones read, by a number of its own.
    Between(usize),
}

/// A pass of which an operator consists: what it does, as an operator of its own. See [`Operator::split`].
#[derive(Clone, Debug)]
pub struct SplitStep {
    /// What is done.
    pub operator: Rc<dyn Operator>,
    /// What it reads.
    pub inputs: Vec<SplitValue>,
    /// What it makes.
    pub outputs: Vec<SplitValue>,
}

impl SplitStep {
    /// A step that reads and makes these.
    pub fn new(
        operator: impl Operator + 'static,
        inputs: impl Into<Vec<SplitValue>>,
        outputs: impl Into<Vec<SplitValue>>,
    ) -> Self {
        Self { operator: Rc::new(operator), inputs: inputs.into(), outputs: outputs.into() }
    }
}
