//! Residual nets for small images (arXiv 1512.03385, section 4.2): three stages of 16, 32 and 64 channels with 1×1
//! convolutions on the shortcuts where extents change. n blocks a stage give 6n + 2 layers: three ResNet-20
//! with 272,474 parameters, 18 ResNet-110 with 1,730,714.

use super::Build;
use crate::layers::{Conv, conv_norm, conv_norm_relu, linear};
use frugal_tensor::ir::{Graph, GraphError, ValueId};

pub(super) fn forward(graph: &mut Graph, x: ValueId, build: Build, blocks: usize) -> Result<ValueId, GraphError> {
    let stem = Conv::new(build.channels(16), 3);
    let mut x = conv_norm_relu(graph, ["conv1", "bn1"], x, stem, build.mode)?;
    for stage in 0..3 {
        for index in 0..blocks {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            let name = format!("layer{}.{index}", stage + 1);
            x = graph.within(name, |graph| block(graph, x, build.channels(16 << stage), stride, build))?;
        }
    }
    let x = graph.within("avgpool", |graph| graph.global_average_pool(x))?;
    linear(graph, "fc", x, build.classes)
}

/// relu(bn(conv(relu(bn(conv(x))))) + shortcut(x)).
fn block(graph: &mut Graph, x: ValueId, filters: usize, stride: usize, build: Build) -> Result<ValueId, GraphError> {
    let y = conv_norm_relu(graph, ["conv1", "bn1"], x, Conv::new(filters, 3).stride(stride), build.mode)?;
    let y = conv_norm(graph, ["conv2", "bn2"], y, Conv::new(filters, 3), build.mode)?;
    let shortcut = if stride == 1 && graph.shape(x)[1] == filters {
        x
    } else {
        let convolution = Conv::new(filters, 1).stride(stride);
        graph.within("downsample", |graph| conv_norm(graph, ["0", "1"], x, convolution, build.mode))?
    };
    graph.within("add", |graph| {
        let sum = graph.add(y, shortcut)?;
        graph.relu(sum)
    })
}
