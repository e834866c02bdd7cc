//! MobileNetV2 (arXiv 1801.04381), as torchvision has it: blocks that widen, filter each channel by itself and narrow again,
//! without a rectifier at their narrow ends. 3,504,872 parameters with 1000 classes.

use super::Build;
use crate::layers::{Conv, conv_norm, linear, relu6};
use frugal_tensor::ir::{Graph, GraphError, ValueId};

/// Of each stage: by how much its blocks widen, their channels, their number, the stride of the first.
const STAGES: [(usize, usize, usize, usize); 7] =
    [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];

pub(super) fn forward(graph: &mut Graph, x: ValueId, build: Build) -> Result<ValueId, GraphError> {
    let x = graph.within("features", |graph| features(graph, x, build))?;
    let x = graph.within("avgpool", |graph| graph.global_average_pool(x))?;
    graph.within("classifier", |graph| {
        let x = build.dropout(graph, "0", x, 0.2)?;
        linear(graph, "1", x, build.classes)
    })
}

fn features(graph: &mut Graph, x: ValueId, build: Build) -> Result<ValueId, GraphError> {
    let mut x = conv_norm_relu6(graph, "0", x, Conv::new(build.channels(32), 3).stride(2), build)?;
    let mut number = 1;
    for (widen, filters, blocks, stride) in STAGES {
        for index in 0..blocks {
            let stride = if index == 0 { stride } else { 1 };
            let name = number.to_string();
            x = graph.within(name, |graph| block(graph, x, widen, build.channels(filters), stride, build))?;
            number += 1;
        }
    }
    conv_norm_relu6(graph, &number.to_string(), x, Conv::new(build.channels(1280), 1), build)
}

/// bn(conv1×1(a(bn(depthwise3×3(a(bn(conv1×1(x)))))))), added to x where extents agree; a = ReLU6.
fn block(
    graph: &mut Graph,
    x: ValueId,
    widen: usize,
    filters: usize,
    stride: usize,
    build: Build,
) -> Result<ValueId, GraphError> {
    let y = graph.within("conv", |graph| {
        let wide = widen * graph.shape(x)[1];
        let depthwise = Conv::new(wide, 3).stride(stride).groups(wide);
        let narrow = Conv::new(filters, 1);
        if widen == 1 {
            let y = conv_norm_relu6(graph, "0", x, depthwise, build)?;
            return conv_norm(graph, ["1", "2"], y, narrow, build.mode);
        }
        let y = conv_norm_relu6(graph, "0", x, Conv::new(wide, 1), build)?;
        let y = conv_norm_relu6(graph, "1", y, depthwise, build)?;
        conv_norm(graph, ["2", "3"], y, narrow, build.mode)
    })?;
    if graph.shape(x) != graph.shape(y) {
        return Ok(y);
    }
    graph.within("add", |graph| graph.add(x, y))
}

fn conv_norm_relu6(graph: &mut Graph, name: &str, x: ValueId, conv: Conv, build: Build) -> Result<ValueId, GraphError> {
    graph.within(name, |graph| {
        let x = conv_norm(graph, ["0", "1"], x, conv, build.mode)?;
        relu6(graph, "2", x)
    })
}
