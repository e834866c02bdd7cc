//! What passes, codecs and reports know an operator by.

use super::{Activation, WeightGradientRole};

/// What an operator is, as far as something outside of it looks for that. Names are text for people.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum OperatorKind {
    /// An operator that nothing looks for, such as one from outside.
    #[default]
    Other,
    /// The input under another shape: no kernel, the same memory.
    View,
    /// Numbers by a table of the bytes that the first input holds: the same picture, read.
    NormalizeBytes,
    /// The sum of two values of one shape.
    Add,
    /// The sum of a value and one element for each of its channels.
    AddBias,
    /// A function of each element, and nothing else.
    Activation(Activation),
    /// The gradient of an activation, from the gradient of its output and what was saved.
    ActivationGradient(Activation),
    /// An activation that is recomputed, from its input and what was saved of its output.
    ActivationRecompute(Activation),
    /// A convolution, with whatever epilogue.
    Convolution,
    /// Max pooling: each element of the first output is the largest of several of the one input.
    MaxPool,
    /// The gradients of a batch norm, of that alone.
    BatchNormGradient,
    /// op(A)·op(B) of matrices A and B, and nothing else.
    MatrixProduct {
        /// Whether A is given transposed.
        transpose_a: bool,
        /// Whether B is given transposed.
        transpose_b: bool,
    },
    /// Changes some of its inputs element by element: an element of those at these places meets the same element of the others and
    /// inputs that are read in full. Of codes with scales, one row of the scales meets each [`crate::ops::optimizer::BLOCK`] elements.
    ElementwiseUpdate(&'static [usize]),
    /// A sum over the elements of the inputs at these places, which meet element by element.
    SumOfElements {
        /// Those inputs.
        along: &'static [usize],
        /// How many inputs there are without the sum so far: if there is one, it is the last, and the sum is added to it.
        inputs: usize,
        /// Whether updates of the same elements wait for the sum.
        awaited: bool,
    },
}

/// What an error of an input does.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ErrorRole {
    /// Nothing that the theory knows.
    Unknown,
    /// It goes on in the first output, multiplied channel by channel by what these inputs hold.
    Propagates(&'static [usize]),
    /// It enters the gradient of a weight, which multiplies the input with another and sums over positions.
    WeightGradient(WeightGradientRole),
}
