//! Residual nets for small images (arXiv 1512.03385, section 4.2): three stages of 16, 32 and 64 channels with 1×1
//! convolutions on the shortcuts where extents change. Three blocks a stage give ResNet-20: 272,474 parameters.

use crate::layers::{Conv, Mode, batch_norm, linear};
use frugal_tensor::graph::{Graph, GraphError, ValueId};

pub(super) fn forward(
    graph: &mut Graph,
    x: ValueId,
    classes: usize,
    mode: Mode,
    blocks: usize,
) -> Result<ValueId, GraphError> {
    let x = Conv::new(16, 3).apply(graph, "conv1", x)?;
    let x = batch_norm(graph, "bn1", x, mode)?;
    let mut x = graph.within("bn1", |graph| graph.relu(x))?;
    for (stage, filters) in [16, 32, 64].into_iter().enumerate() {
        for index in 0..blocks {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            let name = format!("layer{}.{index}", stage + 1);
            x = graph.within(name, |graph| block(graph, x, filters, stride, mode))?;
        }
    }
    let x = graph.within("avgpool", |graph| graph.global_average_pool(x))?;
    linear(graph, "fc", x, classes)
}

/// relu(bn(conv(relu(bn(conv(x))))) + shortcut(x)).
fn block(graph: &mut Graph, x: ValueId, filters: usize, stride: usize, mode: Mode) -> Result<ValueId, GraphError> {
    let y = Conv::new(filters, 3).stride(stride).apply(graph, "conv1", x)?;
    let y = batch_norm(graph, "bn1", y, mode)?;
    let y = graph.within("bn1", |graph| graph.relu(y))?;
    let y = Conv::new(filters, 3).apply(graph, "conv2", y)?;
    let y = batch_norm(graph, "bn2", y, mode)?;
    let shortcut = if stride == 1 && graph.shape(x)[1] == filters {
        x
    } else {
        graph.within("downsample", |graph| {
            let s = Conv::new(filters, 1).stride(stride).apply(graph, "0", x)?;
            batch_norm(graph, "1", s, mode)
        })?
    };
    graph.within("add", |graph| {
        let sum = graph.add(y, shortcut)?;
        graph.relu(sum)
    })
}
