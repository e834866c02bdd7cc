//! A LeNet-like net (after LeCun et al. 1998) with rectifiers and max pooling: 105,194 parameters on 1×28×28.

use super::Build;
use crate::layers::{Conv, linear};
use frugal_tensor::ir::{Graph, GraphError, ValueId};

pub(super) fn forward(graph: &mut Graph, x: ValueId, build: Build) -> Result<ValueId, GraphError> {
    let mut x = x;
    for (name, filters) in [("conv1", 8), ("conv2", 16)] {
        x = Conv::new(build.channels(filters), 5).with_bias().apply(graph, name, x)?;
        x = graph.within(name, |graph| graph.relu(x))?;
        x = graph.within(name, |graph| graph.max_pool(x, 2))?;
    }
    x = graph.within("fc1", |graph| graph.flatten(x))?;
    x = linear(graph, "fc1", x, build.channels(128))?;
    x = graph.within("fc1", |graph| graph.relu(x))?;
    linear(graph, "fc2", x, build.classes)
}
