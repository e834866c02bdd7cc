//! A convolutional auto-encoder: three convolutions halve the image, three transposed ones double it again. A code of 64 channels
//! holds a third of the elements of a colour image. 47,107 parameters with 3 channels.

use super::Build;
use crate::layers::{Conv, conv_transpose};
use frugal_tensor::ir::{Graph, GraphError, ValueId};

/// Channels after each halving.
const CHANNELS: [usize; 3] = [16, 32, 64];

pub(super) fn forward(graph: &mut Graph, x: ValueId, build: Build) -> Result<ValueId, GraphError> {
    let mut x = x;
    let mut before = Vec::new();
    for (level, full) in CHANNELS.into_iter().enumerate() {
        let name = format!("encoder{level}");
        before.push(graph.shape(x).clone());
        x = Conv::new(build.channels(full), 3).stride(2).with_bias().apply(graph, &name, x)?;
        x = graph.within(name, |graph| graph.relu(x))?;
    }
    for (level, wanted) in before.into_iter().enumerate().rev() {
        let name = format!("decoder{level}");
        // Halving rounds up: doubling may have to end one earlier.
        let more = [2, 3].map(|axis| (wanted[axis] + 1) % 2);
        let doubled = Conv::new(wanted[1], 3).stride(2).with_bias();
        x = conv_transpose(graph, &name, x, doubled, more)?;
        if level > 0 {
            x = graph.within(name, |graph| graph.relu(x))?;
        }
    }
    Ok(x)
}
