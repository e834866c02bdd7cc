//! What can be wrong with a graph.

use super::Shape;

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
    /// An operator on the way from the loss to a parameter has no gradient rule.
    #[error("layer `{layer}`: {operator} has no gradient")]
    NoGradient {
        /// Where in the net.
        layer: String,
        /// Which operator.
        operator: &'static str,
    },
    /// Two persistent values carry one name.
    #[error("the name `{0}` is taken: parameters and statistics need names of their own")]
    NameTaken(String),
}

fn list(shapes: &[Shape]) -> String {
    let shapes: Vec<String> = shapes.iter().map(Shape::to_string).collect();
    shapes.join(" and ")
}
