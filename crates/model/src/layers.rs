//! Layers: an operator with its parameters, under a name.

use frugal_tensor::graph::{Graph, GraphError, Init, ValueId};
use frugal_tensor::ops::batch_norm::{BatchNorm, BatchNormInference, BatchNormState};

/// Whether a net is built for training or for evaluation; the layers that care are batch norms and
/// dropout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Statistics of the batch; elements are dropped.
    Training,
    /// Running statistics; nothing is dropped.
    Evaluation,
}

/// ε of every norm, PyTorch's default.
const EPSILON: f32 = 1e-5;
/// Weight of a new batch in the running statistics, PyTorch's default.
const MOMENTUM: f32 = 0.1;

/// What a convolution layer looks like.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    /// Output channels.
    pub filters: usize,
    /// Extent of the square kernel.
    pub kernel: usize,
    /// Steps between outputs.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: usize,
    /// Whether there is a bias.
    pub bias: bool,
}

impl Conv {
    /// A convolution that keeps the extents at stride 1, without bias.
    pub fn new(filters: usize, kernel: usize) -> Self {
        Self { filters, kernel, stride: 1, padding: kernel / 2, bias: false }
    }

    /// With this stride.
    pub fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// With this padding instead.
    pub fn padding(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    /// With a bias per channel.
    pub fn with_bias(self) -> Self {
        Self { bias: true, ..self }
    }

    /// Adds the layer: parameters `weight` and perhaps `bias`.
    ///
    /// # Errors
    /// [`GraphError::Shape`] if x is not N×C×H×W.
    pub fn apply(self, graph: &mut Graph, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
        graph.within(name, |graph| {
            let channels = graph.shape(x).extents().get(1).copied().unwrap_or(0);
            let fan_in = channels * self.kernel * self.kernel;
            let shape = [self.filters, channels, self.kernel, self.kernel];
            let w = graph.parameter("weight", shape, Init::kaiming_uniform(fan_in))?;
            let y = graph.conv2d(x, w, [self.stride; 2], [self.padding; 2])?;
            if !self.bias {
                return Ok(y);
            }
            let b = graph.parameter("bias", [self.filters], Init::Constant(0.0))?;
            graph.bias(y, b)
        })
    }
}

/// A fully connected layer: parameters `weight` (outputs × inputs) and `bias`.
///
/// # Errors
/// [`GraphError::Shape`] if x is not a matrix.
pub fn linear(graph: &mut Graph, name: &str, x: ValueId, outputs: usize) -> Result<ValueId, GraphError> {
    graph.within(name, |graph| {
        let inputs = graph.shape(x).extents().get(1).copied().unwrap_or(0);
        let w = graph.parameter("weight", [outputs, inputs], Init::kaiming_uniform(inputs))?;
        let b = graph.parameter("bias", [outputs], Init::Constant(0.0))?;
        let y = graph.linear(x, w)?;
        graph.bias(y, b)
    })
}

/// A batch norm: parameters `weight`, `bias`, statistics `running_mean`, `running_var`.
///
/// # Errors
/// [`GraphError::Shape`] if x has no channels.
pub fn batch_norm(graph: &mut Graph, name: &str, x: ValueId, mode: Mode) -> Result<ValueId, GraphError> {
    graph.within(name, |graph| {
        let channels = graph.shape(x).extents().get(1).copied().unwrap_or(0);
        let inputs = BatchNormState::new(graph, channels)?.inputs(x);
        match mode {
            Mode::Training => graph.apply_one(BatchNorm { epsilon: EPSILON, momentum: MOMENTUM }, &inputs),
            Mode::Evaluation => graph.apply_one(BatchNormInference { epsilon: EPSILON }, &inputs),
        }
    })
}

/// A layer norm over the last axis: parameters `weight`, `bias`.
///
/// # Errors
/// [`GraphError::Shape`] if x has no axes.
pub fn layer_norm(graph: &mut Graph, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
    graph.within(name, |graph| {
        let features = graph.shape(x).extents().last().copied().unwrap_or(0);
        let [gamma, beta] = scale_and_shift(graph, features)?;
        graph.layer_norm(x, gamma, beta, EPSILON)
    })
}

/// A group norm: parameters `weight`, `bias`.
///
/// # Errors
/// [`GraphError::Shape`] unless the channels of x divide into the groups.
pub fn group_norm(graph: &mut Graph, name: &str, x: ValueId, groups: usize) -> Result<ValueId, GraphError> {
    graph.within(name, |graph| {
        let channels = graph.shape(x).extents().get(1).copied().unwrap_or(0);
        let [gamma, beta] = scale_and_shift(graph, channels)?;
        graph.group_norm(x, groups, gamma, beta, EPSILON)
    })
}

fn scale_and_shift(graph: &mut Graph, count: usize) -> Result<[ValueId; 2], GraphError> {
    let gamma = graph.parameter("weight", [count], Init::Constant(1.0))?;
    Ok([gamma, graph.parameter("bias", [count], Init::Constant(0.0))?])
}

/// A convolution and its batch norm, under the two names.
///
/// # Errors
/// [`GraphError::Shape`] if x is not N×C×H×W.
pub fn conv_norm(
    graph: &mut Graph,
    names: [&str; 2],
    x: ValueId,
    convolution: Conv,
    mode: Mode,
) -> Result<ValueId, GraphError> {
    let x = convolution.apply(graph, names[0], x)?;
    batch_norm(graph, names[1], x, mode)
}

/// [`conv_norm`] with a rectifier.
///
/// # Errors
/// [`GraphError::Shape`] if x is not N×C×H×W.
pub fn conv_norm_relu(
    graph: &mut Graph,
    names: [&str; 2],
    x: ValueId,
    convolution: Conv,
    mode: Mode,
) -> Result<ValueId, GraphError> {
    let x = conv_norm(graph, names, x, convolution, mode)?;
    graph.within(names[1], |graph| graph.relu(x))
}

/// A batch norm with a rectifier.
///
/// # Errors
/// [`GraphError::Shape`] if x has no channels.
pub fn norm_relu(graph: &mut Graph, name: &str, x: ValueId, mode: Mode) -> Result<ValueId, GraphError> {
    let x = batch_norm(graph, name, x, mode)?;
    graph.within(name, |graph| graph.relu(x))
}

/// Dropout in training; nothing at all in evaluation.
///
/// # Errors
/// [`GraphError::Shape`] unless 0 ≤ rate < 1.
pub fn dropout(graph: &mut Graph, name: &str, x: ValueId, rate: f32, mode: Mode) -> Result<ValueId, GraphError> {
    match mode {
        Mode::Training => graph.within(name, |graph| graph.dropout(x, rate)),
        Mode::Evaluation => Ok(x),
    }
}

/// A fully connected layer with a rectifier.
///
/// # Errors
/// [`GraphError::Shape`] if x is not a matrix.
pub fn linear_relu(graph: &mut Graph, name: &str, x: ValueId, outputs: usize) -> Result<ValueId, GraphError> {
    let x = linear(graph, name, x, outputs)?;
    graph.within(name, |graph| graph.relu(x))
}
