//! VGG-Small, the net of papers on quantised training (arXiv 1807.10029): six 3×3 convolutions with norms, one fully connected
//! layer. 4,660,106 parameters with 10 classes on 3×32×32.

use super::Build;
use crate::layers::{Conv, conv_norm_relu, linear};
use frugal_tensor::ir::{Graph, GraphError, ValueId};

pub(super) fn forward(graph: &mut Graph, x: ValueId, build: Build) -> Result<ValueId, GraphError> {
    let mut x = x;
    // Norms, rectifiers and poolings have numbers of their own.
    let mut number = 0;
    for filters in [128, 256, 512] {
        for _ in 0..2 {
            let names = [number, number + 1].map(|number| format!("features.{number}"));
            let convolution = Conv::new(build.channels(filters), 3);
            x = conv_norm_relu(graph, [&names[0], &names[1]], x, convolution, build.mode)?;
            number += 3;
        }
        x = graph.within(format!("features.{number}"), |graph| graph.max_pool(x, 2))?;
        number += 1;
    }
    x = graph.within("classifier", |graph| graph.flatten(x))?;
    linear(graph, "classifier", x, build.classes)
}
