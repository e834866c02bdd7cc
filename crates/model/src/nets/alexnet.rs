//! AlexNet as torchvision has it (arXiv 1404.5997): 61,100,840 parameters with 1000 classes.

use super::Build;
use crate::layers::{Conv, linear, linear_relu};
use frugal_tensor::ir::{Graph, GraphError, ValueId};

pub(super) fn forward(graph: &mut Graph, x: ValueId, build: Build) -> Result<ValueId, GraphError> {
    let x = graph.within("features", |graph| features(graph, x, build))?;
    let x = graph.within("avgpool", |graph| {
        let x = graph.adaptive_average_pool(x, [6, 6])?;
        graph.flatten(x)
    })?;
    graph.within("classifier", |graph| {
        let x = build.dropout(graph, "0", x, 0.5)?;
        let x = linear_relu(graph, "1", x, build.channels(4096))?;
        let x = build.dropout(graph, "3", x, 0.5)?;
        let x = linear_relu(graph, "4", x, build.channels(4096))?;
        linear(graph, "6", x, build.classes)
    })
}

fn features(graph: &mut Graph, x: ValueId, build: Build) -> Result<ValueId, GraphError> {
    let conv = |filters: usize, kernel: usize| Conv::new(build.channels(filters), kernel).with_bias();
    let relu = |graph: &mut Graph, name: &str, x| graph.within(name, |graph| graph.relu(x));
    let pool = |graph: &mut Graph, name: &str, x| graph.within(name, |graph| graph.max_pool_padded(x, 3, 2, 0));
    let x = conv(64, 11).stride(4).padding(2).apply(graph, "0", x)?;
    let x = relu(graph, "1", x)?;
    let x = pool(graph, "2", x)?;
    let x = conv(192, 5).apply(graph, "3", x)?;
    let x = relu(graph, "4", x)?;
    let x = pool(graph, "5", x)?;
    let x = conv(384, 3).apply(graph, "6", x)?;
    let x = relu(graph, "7", x)?;
    let x = conv(256, 3).apply(graph, "8", x)?;
    let x = relu(graph, "9", x)?;
    let x = conv(256, 3).apply(graph, "10", x)?;
    let x = relu(graph, "11", x)?;
    pool(graph, "12", x)
}
