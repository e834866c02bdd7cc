//! Residual nets for large images (arXiv 1512.03385), as torchvision builds them: in bottlenecks the 3×3 convolution has
//! the stride. ResNet-18: 11,689,512 parameters with 1000 classes, ResNet-34: 21,797,672, ResNet-50: 25,557,032.

use super::Build;
use crate::layers::{Conv, conv_norm, conv_norm_relu, linear};
use frugal_tensor::ir::{Graph, GraphError, ValueId};

/// The branch of a block beside its shortcut, without the last rectifier: input, width, stride.
type Branch = fn(&mut Graph, ValueId, usize, usize, Build) -> Result<ValueId, GraphError>;

pub(super) fn forward_18(graph: &mut Graph, x: ValueId, build: Build) -> Result<ValueId, GraphError> {
    forward(graph, x, build, [2, 2, 2, 2], basic)
}

pub(super) fn forward_34(graph: &mut Graph, x: ValueId, build: Build) -> Result<ValueId, GraphError> {
    forward(graph, x, build, [3, 4, 6, 3], basic)
}

pub(super) fn forward_50(graph: &mut Graph, x: ValueId, build: Build) -> Result<ValueId, GraphError> {
    forward(graph, x, build, [3, 4, 6, 3], bottleneck)
}

fn forward(
    graph: &mut Graph,
    x: ValueId,
    build: Build,
    blocks: [usize; 4],
    branch: Branch,
) -> Result<ValueId, GraphError> {
    let stem = Conv::new(build.channels(64), 7).stride(2);
    let x = conv_norm_relu(graph, ["conv1", "bn1"], x, stem, build.mode)?;
    let mut x = graph.within("maxpool", |graph| graph.max_pool_padded(x, 3, 2, 1))?;
    for (stage, blocks) in blocks.into_iter().enumerate() {
        let width = build.channels(64 << stage);
        for index in 0..blocks {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            let name = format!("layer{}.{index}", stage + 1);
            x = graph.within(name, |graph| {
                let y = branch(graph, x, width, stride, build)?;
                let shortcut = shortcut(graph, x, y, stride, build)?;
                graph.within("add", |graph| {
                    let sum = graph.add(y, shortcut)?;
                    graph.relu(sum)
                })
            })?;
        }
    }
    let x = graph.within("avgpool", |graph| graph.global_average_pool(x))?;
    linear(graph, "fc", x, build.classes)
}

/// bn(conv3×3(relu(bn(conv3×3(x))))).
fn basic(graph: &mut Graph, x: ValueId, width: usize, stride: usize, build: Build) -> Result<ValueId, GraphError> {
    let y = conv_norm_relu(graph, ["conv1", "bn1"], x, Conv::new(width, 3).stride(stride), build.mode)?;
    conv_norm(graph, ["conv2", "bn2"], y, Conv::new(width, 3), build.mode)
}

/// bn(conv1×1(relu(bn(conv3×3(relu(bn(conv1×1(x)))))))), four times as wide at its end.
fn bottleneck(graph: &mut Graph, x: ValueId, width: usize, stride: usize, build: Build) -> Result<ValueId, GraphError> {
    let y = conv_norm_relu(graph, ["conv1", "bn1"], x, Conv::new(width, 1), build.mode)?;
    let y = conv_norm_relu(graph, ["conv2", "bn2"], y, Conv::new(width, 3).stride(stride), build.mode)?;
    conv_norm(graph, ["conv3", "bn3"], y, Conv::new(4 * width, 1), build.mode)
}

/// x itself, or bn(conv1×1(x)) where the extents change.
fn shortcut(graph: &mut Graph, x: ValueId, y: ValueId, stride: usize, build: Build) -> Result<ValueId, GraphError> {
    if graph.shape(x) == graph.shape(y) {
        return Ok(x);
    }
    let convolution = Conv::new(graph.shape(y)[1], 1).stride(stride);
    graph.within("downsample", |graph| conv_norm(graph, ["0", "1"], x, convolution, build.mode))
}
