//! Values: what flows along the graph.

use super::{Part, Precision, Shape};
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
    /// A word of 32 bits: a label, or a part of a codec's packed form.
    U32,
    /// A byte, 4 to a word, the first in the lowest place: pictures as they come. The shape counts bytes; kernels bind the words.
    U8,
    /// A bit, 32 to a word, the first in the lowest place. The shape counts bits; kernels bind the words.
    Bit,
}

impl Element {
    /// Words of 32 bits that hold so many of them.
    pub fn words(self, elements: usize) -> usize {
        match self {
            Self::F32 | Self::U32 => elements,
            Self::U8 => elements.div_ceil(4),
            Self::Bit => elements.div_ceil(32),
        }
    }

    /// How many of them lie in so many bytes, a multiple of four.
    pub fn elements(self, bytes: usize) -> usize {
        match self {
            Self::F32 | Self::U32 => bytes / 4,
            Self::U8 => bytes,
            Self::Bit => 8 * bytes,
        }
    }
}

/// What a value is for. It decides under which heading the ledger counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Uploaded before each step.
    Input,
    /// The same in all steps: uploaded when a session begins, and in no checkpoint.
    Constant,
    /// What a net learns, unless it is [frozen](Value::frozen).
    Parameter,
    /// Updated by the forward pass but not trained (running mean and variance).
    Statistic,
    /// Belongs to an optimiser.
    OptimizerState,
    /// What a data-sized value reports of a step.
    Report,
    /// Made by the forward pass.
    Activation,
    /// Made by the backward pass, except those below.
    Gradient,
    /// The gradient of a parameter.
    ParameterGradient,
    /// An encoded or decoded form made by a codec.
    Stored,
}

/// How long a value keeps its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lifetime {
    /// Within a step, from the node that makes it, or the upload, to its last reader; to the end of the step if it is read back.
    Step,
    /// From step to step.
    AcrossSteps,
}

impl Role {
    /// How long values of this role live.
    pub fn lifetime(self) -> Lifetime {
        match self {
            Self::Constant | Self::Parameter | Self::Statistic | Self::OptimizerState | Self::Report => {
                Lifetime::AcrossSteps
            }
            Self::Input | Self::Activation | Self::Gradient | Self::ParameterGradient | Self::Stored => Lifetime::Step,
        }
    }
}

/// How a persistent value starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Init {
    /// Every element the same.
    Constant(f32),
    /// Uniform in (−bound, bound), from the run's seed.
    Uniform {
        /// Half the width of the interval.
        bound: f32,
    },
    /// These words, as memory holds them: a constant.
    Words(Vec<u32>),
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
    /// Dotted path, for example `layer1.0.conv1.weight`. What the forward pass makes has a unique name: of two rectifiers
    /// of one layer the second makes `layer.relu2`.
    pub name: String,
    /// Extents.
    pub shape: Shape,
    /// What one element is.
    pub element: Element,
    /// In which precision memory holds it, if its elements are f32. Kernels read and write f32 in any case.
    pub precision: Precision,
    /// What it is for.
    pub role: Role,
    /// Whether the host reads it back after each step. What lives within a step then lives to its end.
    pub read_back: bool,
    /// Whether a parameter stays as it is: it has no gradient and no state of an optimiser.
    pub frozen: bool,
    /// How it starts, if it is persistent.
    pub init: Option<Init>,
    /// What it is a part of, if it is one.
    pub part: Option<Part>,
    /// Whether the gradient of the loss with respect to it is wanted, here or further up.
    pub needs_gradient: bool,
}

impl Value {
    /// Whether no node makes it: the host uploads it, or it lives across steps.
    pub fn is_given(&self) -> bool {
        self.role == Role::Input || self.is_persistent()
    }

    /// How long it keeps its memory.
    pub fn lifetime(&self) -> Lifetime {
        self.role.lifetime()
    }

    /// Whether it keeps its memory from one step to the next.
    pub fn is_persistent(&self) -> bool {
        self.lifetime() == Lifetime::AcrossSteps
    }

    /// The value in whose memory it lies, and how many bytes from its start, if it is a window.
    pub fn window(&self) -> Option<(ValueId, u64)> {
        self.part.and_then(|part| Some((part.of, part.offset?)))
    }

    /// Elements of the whole in front of it, if it is a part; else 0. Random numbers count from there, so that parts draw what the
    /// whole would.
    pub fn first_element(&self) -> usize {
        self.part.map_or(0, |part| part.first)
    }

    /// Whether it lives within a step and is read back after it: it is held in f32, as the step leaves it.
    pub fn is_metric(&self) -> bool {
        self.read_back && !self.is_persistent()
    }

    /// Words of 32 bits that a value in f32 or in words has.
    pub fn words(&self) -> usize {
        self.element.words(self.shape.elements())
    }

    /// Bytes that so many of its elements take; `None` if they end within a word.
    pub fn bytes_of(&self, elements: usize) -> Option<u64> {
        let bits = match (self.element, self.precision) {
            (Element::Bit, _) => 1,
            (Element::U8, _) => 8,
            (_, Precision::F16) => 16,
            (Element::F32 | Element::U32, Precision::F32) => 32,
        };
        let bits = bits * elements as u64;
        bits.is_multiple_of(32).then_some(bits / 8)
    }

    /// Bytes of its elements, rounded up to whole words and without any other padding.
    pub fn bytes(&self) -> u64 {
        match self.precision {
            Precision::F32 => 4 * self.words() as u64,
            Precision::F16 => 4 * (self.shape.elements() as u64).div_ceil(2),
        }
    }
}
