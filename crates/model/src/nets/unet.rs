//! A small U-Net (arXiv 1505.04597): an image is halved three times and doubled again, and every extent sees what was made of it
//! on the way down. Convolutions are padded and normed; the output has a channel for each class. 482,890 parameters with 10
//! classes and 3 channels.

use super::Build;
use crate::layers::{Conv, conv_norm_relu, conv_transpose};
use frugal_tensor::ir::{Graph, GraphError, ValueId};

/// Channels at each extent, from the image's down.
const CHANNELS: [usize; 4] = [16, 32, 64, 128];

pub(super) fn forward(graph: &mut Graph, x: ValueId, build: Build) -> Result<ValueId, GraphError> {
    let [rest @ .., deepest] = CHANNELS.map(|full| build.channels(full));
    let mut x = x;
    let mut across = Vec::new();
    for (level, filters) in rest.into_iter().enumerate() {
        x = graph.within(format!("down{level}"), |graph| double(graph, x, filters, build))?;
        across.push((level, x));
        x = graph.within(format!("down{level}"), |graph| graph.max_pool(x, 2))?;
    }
    x = graph.within("bottom", |graph| double(graph, x, deepest, build))?;
    for (level, skip) in across.into_iter().rev() {
        x = graph.within(format!("up{level}"), |graph| {
            let (filters, wanted) = (graph.shape(skip)[1], graph.shape(skip).clone());
            // Halving loses the last row or column of odd extents; doubling brings it back.
            let more = [2, 3].map(|axis| wanted[axis] % 2);
            let doubled = Conv::new(filters, 2).stride(2).padding(0).with_bias();
            let y = conv_transpose(graph, "conv0", x, doubled, more)?;
            let y = graph.concat(&[skip, y])?;
            double(graph, y, filters, build)
        })?;
    }
    Conv::new(build.classes, 1).with_bias().apply(graph, "head", x)
}

/// Two convolutions with norms and rectifiers.
fn double(graph: &mut Graph, x: ValueId, filters: usize, build: Build) -> Result<ValueId, GraphError> {
    let x = conv_norm_relu(graph, ["conv1", "bn1"], x, Conv::new(filters, 3), build.mode)?;
    conv_norm_relu(graph, ["conv2", "bn2"], x, Conv::new(filters, 3), build.mode)
}
