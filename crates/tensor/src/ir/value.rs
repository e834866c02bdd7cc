//! Values: what flows along the graph.

use super::{Precision, Shape};
use serde::{Deserialize, Serialize};

/// Names a value of one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ValueId(pub(crate) usize);

impl ValueId {
    /// Position in [`Graph::values`](super::Graph::values).
    pub fn index(self) -> usize {
        self.0
    }
}

/// What one element is to those that read and write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Element {
    /// An IEEE single.
    F32,
    /// A word: a label, or packed bits of a stored form.
    U32,
}

/// What a value is for. It decides how long it lives and under which heading the ledger counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Uploaded before each step; lives until its last reader.
    Input,
    /// Trained; lives across steps.
    Parameter,
    /// Updated by the forward pass but not trained (running mean and variance); lives across steps.
    Statistic,
    /// Belongs to an optimiser; lives across steps.
    OptimizerState,
    /// What a codec learns from step to step; lives across steps and is read back after each.
    Record,
    /// Made by the forward pass.
    Activation,
    /// Made by the backward pass, except those below.
    Gradient,
    /// The gradient of a parameter.
    ParameterGradient,
    /// An encoded or decoded form made by a codec.
    Stored,
    /// Read back after the step; lives to its end.
    Metric,
}

impl Kind {
    /// Whether the value keeps its memory from one step to the next.
    pub fn is_persistent(self) -> bool {
        matches!(self, Kind::Parameter | Kind::Statistic | Kind::OptimizerState | Kind::Record)
    }
}

/// How a persistent value starts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Init {
    /// Every element the same.
    Constant(f32),
    /// Uniform in (−bound, bound), from the run's seed.
    Uniform {
        /// Half the width of the interval.
        bound: f32,
    },
}

impl Init {
    /// He's uniform initialisation for a layer followed by a rectifier: bound = √(6 / fan-in) (arXiv 1502.01852).
    pub fn kaiming_uniform(fan_in: usize) -> Self {
        Init::Uniform { bound: (6.0 / fan_in as f64).sqrt() as f32 }
    }
}

/// A value of the graph: a tensor whose shape is known before anything runs.
#[derive(Clone, Debug)]
pub struct Value {
    /// Dotted path, for example `layer1.0.conv1.weight`. What the forward pass makes has a name of its own: of two rectifiers
    /// of one layer the second makes `layer.relu2`.
    pub name: String,
    /// Extents.
    pub shape: Shape,
    /// What one element is.
    pub element: Element,
    /// In which precision memory holds it, if its elements are f32. Kernels read and write f32 in any case.
    pub precision: Precision,
    /// What it is for.
    pub kind: Kind,
    /// How it starts, if it is persistent.
    pub init: Option<Init>,
    /// Whether the gradient of the loss with respect to it is wanted, here or further up.
    pub needs_gradient: bool,
}

impl Value {
    /// Whether no node makes it: the host uploads it, or it lives across steps.
    pub fn is_given(&self) -> bool {
        self.kind == Kind::Input || self.kind.is_persistent()
    }

    /// Bytes of its elements, rounded up to whole words and without any other padding.
    pub fn bytes(&self) -> u64 {
        let elements = self.shape.elements() as u64;
        match self.precision {
            Precision::F32 => 4 * elements,
            Precision::F16 => 4 * elements.div_ceil(2),
        }
    }
}
