//! DenseNet-121 (arXiv 1608.06993), as torchvision has it: each layer sees what all layers before it in its block made,
//! and adds 32 channels. 7,978,856 parameters with 1000 classes.

use super::Build;
use crate::layers::{Conv, conv_norm_relu, linear, norm_relu};
use frugal_tensor::ir::{Graph, GraphError, ValueId};

/// Layers of each block.
const BLOCKS: [usize; 4] = [6, 12, 24, 16];

pub(super) fn forward(graph: &mut Graph, x: ValueId, build: Build) -> Result<ValueId, GraphError> {
    let x = graph.within("features", |graph| features(graph, x, build))?;
    let x = graph.within("avgpool", |graph| graph.global_average_pool(x))?;
    linear(graph, "classifier", x, build.classes)
}

fn features(graph: &mut Graph, x: ValueId, build: Build) -> Result<ValueId, GraphError> {
    let stem = Conv::new(build.channels(64), 7).stride(2);
    let x = conv_norm_relu(graph, ["conv0", "norm0"], x, stem, build.mode)?;
    let mut x = graph.within("pool0", |graph| graph.max_pool_padded(x, 3, 2, 1))?;
    for (index, layers) in BLOCKS.into_iter().enumerate() {
        x = graph.within(format!("denseblock{}", index + 1), |graph| block(graph, x, layers, build))?;
        if index + 1 < BLOCKS.len() {
            x = graph.within(format!("transition{}", index + 1), |graph| transition(graph, x, build))?;
        }
    }
    norm_relu(graph, "norm5", x, build.mode)
}

fn block(graph: &mut Graph, x: ValueId, layers: usize, build: Build) -> Result<ValueId, GraphError> {
    let mut parts = vec![x];
    for index in 1..=layers {
        let new = graph.within(format!("denselayer{index}"), |graph| {
            let x = graph.concat(&parts)?;
            let x = norm_relu(graph, "norm1", x, build.mode)?;
            let squeeze = Conv::new(build.channels(128), 1);
            let x = conv_norm_relu(graph, ["conv1", "norm2"], x, squeeze, build.mode)?;
            Conv::new(build.channels(32), 3).apply(graph, "conv2", x)
        })?;
        parts.push(new);
    }
    graph.concat(&parts)
}

/// Half the channels, a quarter of the elements.
fn transition(graph: &mut Graph, x: ValueId, build: Build) -> Result<ValueId, GraphError> {
    let channels = graph.shape(x)[1] / 2;
    let x = norm_relu(graph, "norm", x, build.mode)?;
    let x = Conv::new(channels, 1).apply(graph, "conv", x)?;
    graph.within("pool", |graph| graph.average_pool(x, 2))
}
