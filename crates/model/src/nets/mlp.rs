//! A multi-layer perceptron: fully connected hidden layers with ReLU and dropout, and an output layer. An image enters as a vector of its
//! elements; a row of a table as the embeddings of its categories and its numbers. 402,250 parameters on 3×32×32 with
//! 10 classes.

use super::Build;
use crate::layers::{linear, linear_relu};
use frugal_tensor::ir::{Graph, GraphError, ValueId};
use std::borrow::Cow;

/// What a multi-layer perceptron looks like.
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    /// Outputs of each hidden layer.
    pub hidden: Cow<'static, [usize]>,
    /// The share of each hidden layer's outputs that training drops.
    pub dropout: f32,
}

impl Mlp {
    /// The default.
    pub const USUAL: Mlp = Mlp { hidden: Cow::Borrowed(&[128, 64]), dropout: 0.0 };
}

pub(super) fn forward(graph: &mut Graph, x: ValueId, build: Build, mlp: &Mlp) -> Result<ValueId, GraphError> {
    let mut x = if graph.shape(x).rank() == 2 { x } else { graph.within("flatten", |graph| graph.flatten(x))? };
    for (number, &outputs) in mlp.hidden.iter().enumerate() {
        let name = format!("hidden{number}");
        x = linear_relu(graph, &name, x, build.channels(outputs))?;
        if mlp.dropout > 0.0 {
            x = build.dropout(graph, &name, x, mlp.dropout)?;
        }
    }
    linear(graph, "output", x, build.classes)
}
