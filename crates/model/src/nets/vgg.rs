//! VGG-11 and VGG-16 without batch norms (arXiv 1409.1556), as torchvision has them: 132,863,336 and 138,357,544 parameters
//! with 1000 classes.

use super::Build;
use crate::layers::{Conv, linear, linear_relu};
use frugal_tensor::ir::{Graph, GraphError, ValueId};

pub(super) fn forward_11(graph: &mut Graph, x: ValueId, build: Build) -> Result<ValueId, GraphError> {
    forward(graph, x, build, [1, 1, 2, 2, 2])
}

pub(super) fn forward_16(graph: &mut Graph, x: ValueId, build: Build) -> Result<ValueId, GraphError> {
    forward(graph, x, build, [2, 2, 3, 3, 3])
}

/// Five stages of this many convolutions.
fn forward(graph: &mut Graph, x: ValueId, build: Build, stages: [usize; 5]) -> Result<ValueId, GraphError> {
    let mut x = x;
    // Rectifiers and poolings have numbers of their own.
    let mut number = 0;
    for (filters, count) in [64, 128, 256, 512, 512].into_iter().zip(stages) {
        for last in (0..count).rev().map(|left| left == 0) {
            let convolution = Conv::new(build.channels(filters), 3).with_bias();
            x = convolution.apply(graph, &format!("features.{number}"), x)?;
            x = graph.within(format!("features.{}", number + 1), |graph| graph.relu(x))?;
            number += 2;
            if last {
                x = graph.within(format!("features.{number}"), |graph| graph.max_pool(x, 2))?;
                number += 1;
            }
        }
    }
    let x = graph.within("avgpool", |graph| {
        let x = graph.adaptive_average_pool(x, [7, 7])?;
        graph.flatten(x)
    })?;
    graph.within("classifier", |graph| {
        let x = linear_relu(graph, "0", x, build.channels(4096))?;
        let x = build.dropout(graph, "2", x, 0.5)?;
        let x = linear_relu(graph, "3", x, build.channels(4096))?;
        let x = build.dropout(graph, "5", x, 0.5)?;
        linear(graph, "6", x, build.classes)
    })
}
