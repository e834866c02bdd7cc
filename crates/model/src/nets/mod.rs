//! Nets, each in one short file. Parameters carry PyTorch's names.

mod alexnet;
mod densenet;
mod lenet;
mod resnet;
mod resnet_cifar;
mod resnet_preact;
mod vgg;

use crate::ModelError;
use crate::layers::Mode;
use frugal_tensor::graph::{Graph, GraphError, ValueId};
use std::fmt;

/// What a net's forward pass is built for.
#[derive(Clone, Copy, Debug)]
struct Build {
    classes: usize,
    mode: Mode,
    narrow: usize,
}

impl Build {
    /// The channels of a hidden layer that has `full` of them in the published net.
    fn channels(&self, full: usize) -> usize {
        full.div_ceil(self.narrow)
    }
}

/// Adds a net's forward pass: from images N×C×H×W to logits N×classes.
type Forward = fn(&mut Graph, ValueId, Build) -> Result<ValueId, GraphError>;

/// A net by name.
#[derive(Clone, Copy)]
pub struct Net {
    /// What the user calls it.
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    narrow: usize,
    forward: Forward,
}

const fn net(name: &'static str, about: &'static str, forward: Forward) -> Net {
    Net { name, about, narrow: 1, forward }
}

const NETS: &[Net] = &[
    net("lenet", "two 5×5 convolutions with max pooling, two fully connected layers", lenet::forward),
    net("resnet8", "residual net for small images, one block per stage", |graph, x, build| {
        resnet_cifar::forward(graph, x, build, 1)
    }),
    net("resnet20", "residual net for small images, three blocks per stage", |graph, x, build| {
        resnet_cifar::forward(graph, x, build, 3)
    }),
    net("resnet164", "residual net for small images, 54 bottlenecks that normalise first", resnet_preact::forward),
    net("alexnet", "five convolutions, three fully connected layers", alexnet::forward),
    net("vgg16", "13 convolutions of 3×3, three fully connected layers", vgg::forward),
    net("resnet18", "residual net for large images, two blocks per stage", resnet::forward_18),
    net("resnet50", "residual net for large images, 16 bottlenecks", resnet::forward_50),
    net("densenet121", "58 densely connected layers in four blocks", densenet::forward),
];

impl Net {
    /// All nets.
    pub fn all() -> &'static [Net] {
        NETS
    }

    /// The net of this name.
    ///
    /// # Errors
    /// [`ModelError::NoSuchNet`].
    pub fn find(name: &str) -> Result<Net, ModelError> {
        NETS.iter().find(|net| net.name == name).copied().ok_or_else(|| ModelError::NoSuchNet {
            name: name.to_string(),
            known: NETS.iter().map(|net| net.name).collect::<Vec<_>>().join(", "),
        })
    }

    /// The net with one in `by` of its hidden channels, rounded up: the same layers for trying things out.
    pub fn narrowed(self, by: usize) -> Net {
        Net { narrow: by.max(1), ..self }
    }

    /// Adds the forward pass: images N×C×H×W to logits N×classes.
    ///
    /// # Errors
    /// [`GraphError::Shape`] if the net does not fit the images.
    pub fn forward(&self, graph: &mut Graph, x: ValueId, classes: usize, mode: Mode) -> Result<ValueId, GraphError> {
        (self.forward)(graph, x, Build { classes, mode, narrow: self.narrow })
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Net({})", self.name)
    }
}
