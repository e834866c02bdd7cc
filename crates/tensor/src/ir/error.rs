//! What can be wrong with a graph.

use super::{Fault, MOST_ELEMENTS, Shape};

/// Why a graph cannot be built.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum GraphError {
    /// An operator does not take these shapes.
    #[error("layer `{layer}`: {operator} does not take {shapes}: {reason}", shapes = list(shapes))]
    Shape {
        /// Where in the net.
        layer: String,
        /// Which operator.
        operator: &'static str,
        /// What it was given.
        shapes: Vec<Shape>,
        /// What it wants.
        reason: String,
    },
    /// A value would have more elements than kernels count ([`MOST_ELEMENTS`]).
    #[error(
        "layer `{layer}`: a value of {shape} has more than the {MOST_ELEMENTS} elements that kernels can count{advice}",
        advice = batch_advice(*largest_batch)
    )]
    TooLarge {
        /// Where in the net, or the name of an input or of a persistent value.
        layer: String,
        /// Extents of the value.
        shape: Shape,
        /// The largest batch with which it could be counted; none if it does not belong to a batch.
        largest_batch: Option<usize>,
    },
    /// An operator on the way from the loss to a parameter has no gradient rule.
    #[error("layer `{layer}`: {operator} has no gradient")]
    NoGradient {
        /// Where in the net.
        layer: String,
        /// Which operator.
        operator: &'static str,
    },
    /// A pass left a graph behind that is not sound: a fault of the pass or of an operator's rules.
    #[error("the pass `{pass}` left a graph that is not sound: {fault}")]
    Unsound {
        /// Name of the pass.
        pass: &'static str,
        /// What is wrong.
        fault: Box<Fault>,
    },
    /// A parametrisation made a value of another shape than the layer requested.
    #[error("the parametrisation of `{name}` made a value of {made}, but the layer asks for {asked}")]
    Parametrisation {
        /// Full name of the parameter.
        name: String,
        /// The shape that the layer asks for.
        asked: Shape,
        /// The shape of what was made.
        made: Shape,
    },
    /// A constant has not as many words as its shape asks for.
    #[error("the constant `{name}` has {given} words, but its shape takes {expected}")]
    ConstantSize {
        /// Its name.
        name: String,
        /// Words that its shape takes.
        expected: usize,
        /// Words that there are.
        given: usize,
    },
    /// Two persistent values carry one name.
    #[error("the name `{0}` is taken: parameters and statistics need names of their own")]
    NameTaken(String),
}

fn list(shapes: &[Shape]) -> String {
    let shapes: Vec<String> = shapes.iter().map(Shape::to_string).collect();
    shapes.join(" and ")
}

/// What a message says of the largest batch at its end.
pub(crate) fn batch_advice(largest_batch: Option<usize>) -> String {
    match largest_batch {
        None => String::new(),
        Some(0) => "; not even a single sample would do".to_owned(),
        Some(batch) => format!("; the largest batch that fits is {batch}"),
    }
}
