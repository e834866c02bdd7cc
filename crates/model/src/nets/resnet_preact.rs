//! ResNet-164 for small images (arXiv 1603.05027): bottlenecks that normalise and rectify first, 18 in each of three stages.
//!
//! As in its authors' code, the first bottleneck of a stage shares its first activation with its shortcut, a 1×1
//! convolution without a norm; the convolution in the middle has the stride. 1,703,258 parameters with 10 classes.

use super::Build;
use crate::layers::{Conv, linear, norm_relu};
use frugal_tensor::ir::{Graph, GraphError, ValueId};

pub(super) fn forward(graph: &mut Graph, x: ValueId, build: Build) -> Result<ValueId, GraphError> {
    let mut x = Conv::new(build.channels(16), 3).apply(graph, "conv1", x)?;
    for stage in 0..3 {
        for index in 0..18 {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            let name = format!("layer{}.{index}", stage + 1);
            x = graph.within(name, |graph| block(graph, x, build.channels(16 << stage), stride, build))?;
        }
    }
    let x = norm_relu(graph, "bn", x, build.mode)?;
    let x = graph.within("avgpool", |graph| graph.global_average_pool(x))?;
    linear(graph, "fc", x, build.classes)
}

/// conv1×1(a(conv3×3(a(conv1×1(a(x)))))) + shortcut, with a(x) = relu(bn(x)).
fn block(graph: &mut Graph, x: ValueId, width: usize, stride: usize, build: Build) -> Result<ValueId, GraphError> {
    let active = norm_relu(graph, "bn1", x, build.mode)?;
    let y = Conv::new(width, 1).apply(graph, "conv1", active)?;
    let y = norm_relu(graph, "bn2", y, build.mode)?;
    let y = Conv::new(width, 3).stride(stride).apply(graph, "conv2", y)?;
    let y = norm_relu(graph, "bn3", y, build.mode)?;
    let y = Conv::new(4 * width, 1).apply(graph, "conv3", y)?;
    let shortcut = if graph.shape(x) == graph.shape(y) {
        x
    } else {
        Conv::new(4 * width, 1).stride(stride).apply(graph, "downsample", active)?
    };
    graph.within("add", |graph| graph.add(y, shortcut))
}
