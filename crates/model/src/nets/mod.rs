//! Nets, each in one short file. Parameters carry PyTorch's names.

mod lenet;
mod resnet_cifar;

use crate::ModelError;
use crate::layers::Mode;
use frugal_tensor::graph::{Graph, GraphError, ValueId};
use std::fmt;

/// Adds a net's forward pass: from images N×C×H×W to logits N×classes.
type Forward = fn(&mut Graph, ValueId, usize, Mode) -> Result<ValueId, GraphError>;

/// A net by name.
#[derive(Clone, Copy)]
pub struct Net {
    /// What the user calls it.
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    forward: Forward,
}

const NETS: &[Net] = &[
    Net {
        name: "lenet",
        about: "two 5×5 convolutions with max pooling, two fully connected layers",
        forward: lenet::forward,
    },
    Net {
        name: "resnet8",
        about: "residual net for small images, one block per stage",
        forward: |graph, x, classes, mode| resnet_cifar::forward(graph, x, classes, mode, 1),
    },
    Net {
        name: "resnet20",
        about: "residual net for small images, three blocks per stage",
        forward: |graph, x, classes, mode| resnet_cifar::forward(graph, x, classes, mode, 3),
    },
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

    /// Adds the forward pass: images N×C×H×W to logits N×classes.
    ///
    /// # Errors
    /// [`GraphError::Shape`] if the net does not fit the images.
    pub fn forward(&self, graph: &mut Graph, x: ValueId, classes: usize, mode: Mode) -> Result<ValueId, GraphError> {
        (self.forward)(graph, x, classes, mode)
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Net({})", self.name)
    }
}
