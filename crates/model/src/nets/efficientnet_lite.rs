//! EfficientNet-Lite0 (arXiv 1905.11946 without what phones are slow at: no squeeze and excitation, ReLU6 for swish, stem and
//! head of fixed width), with the names, "same" paddings and batch norms of its published weights. 4,652,008 parameters with
//! 1000 classes.

use super::Build;
use crate::layers::{Conv, batch_norm_like, linear, relu6};
use frugal_tensor::ir::{Graph, GraphError, ValueId};
use frugal_tensor::ops::batch_norm::BatchNorm;

/// TensorFlow's settings for this net.
const NORM: BatchNorm = BatchNorm { epsilon: 1e-3, momentum: 0.01 };

/// Of each stage: blocks, extent of the kernel, stride of the first block, by how much blocks widen, their channels.
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
];

pub(super) fn forward(graph: &mut Graph, x: ValueId, build: Build) -> Result<ValueId, GraphError> {
    let mut x = conv_norm(graph, ["_conv_stem", "_bn0"], x, Conv::new(build.channels(32), 3).stride(2), build)?;
    x = relu6(graph, "_bn0", x)?;
    let mut number = 0;
    for (blocks, kernel, stride, widen, filters) in STAGES {
        for index in 0..blocks {
            let stride = if index == 0 { stride } else { 1 };
            let wide = widen * graph.shape(x)[1];
            let depthwise = Conv::new(wide, kernel).stride(stride).groups(wide);
            let narrow = Conv::new(build.channels(filters), 1);
            x = graph.within(format!("_blocks.{number}"), |graph| block(graph, x, depthwise, narrow, build))?;
            number += 1;
        }
    }
    x = conv_norm(graph, ["_conv_head", "_bn1"], x, Conv::new(build.channels(1280), 1), build)?;
    x = relu6(graph, "_bn1", x)?;
    x = graph.within("_avg_pooling", |graph| graph.global_average_pool(x))?;
    x = build.dropout(graph, "_dropout", x, 0.2)?;
    linear(graph, "_fc", x, build.classes)
}

/// bn(narrow(a(bn(depthwise(a(bn(conv1×1(x)))))))), added to x where extents agree; a = ReLU6. The 1×1 convolution is left out
/// where nothing is to be widened.
fn block(graph: &mut Graph, x: ValueId, depthwise: Conv, narrow: Conv, build: Build) -> Result<ValueId, GraphError> {
    let mut y = x;
    if graph.shape(x)[1] != depthwise.groups {
        y = conv_norm(graph, ["_expand_conv", "_bn0"], y, Conv::new(depthwise.groups, 1), build)?;
        y = relu6(graph, "_bn0", y)?;
    }
    y = conv_norm(graph, ["_depthwise_conv", "_bn1"], y, depthwise, build)?;
    y = relu6(graph, "_bn1", y)?;
    y = conv_norm(graph, ["_project_conv", "_bn2"], y, narrow, build)?;
    if graph.shape(x) != graph.shape(y) {
        return Ok(y);
    }
    graph.within("add", |graph| graph.add(x, y))
}

fn conv_norm(
    graph: &mut Graph,
    names: [&str; 2],
    x: ValueId,
    convolution: Conv,
    build: Build,
) -> Result<ValueId, GraphError> {
    let x = convolution.same().apply(graph, names[0], x)?;
    batch_norm_like(graph, names[1], x, NORM, build.mode)
}
