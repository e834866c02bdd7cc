//! Layers: an operator with its parameters, under a name.

use frugal_tensor::ir::{Graph, GraphError, Init, ValueId};
use frugal_tensor::ops::activation::RELU6;
use frugal_tensor::ops::batch_norm::{BatchNorm, BatchNormInference, BatchNormState};
use frugal_tensor::ops::conv2d::Conv2d;

/// Whether a net is built for training or for evaluation; the layers that care are batch norms and
/// dropout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Statistics of the batch; elements are dropped.
    Training,
    /// Running statistics; nothing is dropped.
    Evaluation,
}

/// The batch norm of most nets, PyTorch's default; ε is that of all norms.
pub const NORM: BatchNorm = BatchNorm { epsilon: 1e-5, momentum: 0.1 };

/// Zeros around the input of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// As many on each side.
    Even(usize),
    /// TensorFlow's "same": ⌈extent / stride⌉ outputs, an odd zero below and to the right.
    Same,
}

/// What a convolution layer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Output channels.
    pub filters: usize,
    /// Extent of the square kernel.
    pub kernel: usize,
    /// Steps between outputs.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: Padding,
    /// Steps between taps.
    pub dilation: usize,
    /// Groups of channels that see nothing of each other.
    pub groups: usize,
    /// Whether there is a bias.
    pub bias: bool,
}

impl Conv {
    /// A convolution that keeps the extents at stride 1, without bias.
    pub fn new(filters: usize, kernel: usize) -> Self {
        Self { filters, kernel, stride: 1, padding: Padding::Even(kernel / 2), dilation: 1, groups: 1, bias: false }
    }

    /// With this stride.
    pub fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// With this padding instead.
    pub fn padding(self, padding: usize) -> Self {
        Self { padding: Padding::Even(padding), ..self }
    }

    /// With TensorFlow's "same" padding.
    pub fn same(self) -> Self {
        Self { padding: Padding::Same, ..self }
    }

    /// With this dilation, and the padding that keeps the extents at stride 1.
    pub fn dilation(self, dilation: usize) -> Self {
        Self { dilation, padding: Padding::Even(dilation * (self.kernel / 2)), ..self }
    }

    /// In this many groups; as many as there are input channels make it depthwise.
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// With a bias per channel.
    pub fn with_bias(self) -> Self {
        Self { bias: true, ..self }
    }

    /// The operator, for an input of these extents.
    fn operator(self, input: [usize; 2]) -> Conv2d {
        // Before and behind, on each axis.
        let [down, across] = input.map(|extent| match self.padding {
            Padding::Even(padding) => [padding; 2],
            Padding::Same => {
                let outputs = extent.div_ceil(self.stride.max(1));
                let taps = self.dilation.saturating_mul(self.kernel.saturating_sub(1));
                let reach =
                    outputs.saturating_sub(1).saturating_mul(self.stride).saturating_add(taps).saturating_add(1);
                let zeros = reach.saturating_sub(extent);
                [zeros / 2, zeros.div_ceil(2)]
            }
        });
        Conv2d {
            stride: [self.stride; 2],
            padding: [down[0], across[0]],
            more_padding: [down[1] - down[0], across[1] - across[0]],
            dilation: [self.dilation; 2],
            groups: self.groups,
        }
    }

    /// Adds the layer: parameters `weight` and perhaps `bias`.
    ///
    /// # Errors
    /// [`GraphError::Shape`] if x is not N×C×H×W, or channels do not divide into the groups.
    pub fn apply(self, graph: &mut Graph, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
        graph.within(name, |graph| {
            let [_, channels, height, width] = graph.shape(x).nchw().unwrap_or_default();
            let channels = channels / self.groups.max(1);
            let fan_in = fan_in(channels, self.kernel);
            let shape = [self.filters, channels, self.kernel, self.kernel];
            let w = graph.parameter("weight", shape, Init::kaiming_uniform(fan_in))?;
            let y = graph.apply_one(self.operator([height, width]), &[x, w])?;
            self.biased(graph, y)
        })
    }

    fn biased(self, graph: &mut Graph, y: ValueId) -> Result<ValueId, GraphError> {
        if !self.bias {
            return Ok(y);
        }
        let b = graph.parameter("bias", [self.filters], Init::Constant(0.0))?;
        graph.bias(y, b)
    }
}

/// Products that make one output. Weights of which it saturates are refused in their turn.
fn fan_in(channels: usize, kernel: usize) -> usize {
    channels.saturating_mul(kernel).saturating_mul(kernel)
}

/// The transpose of a convolution: parameters `weight` (channels × filters of a group × kernel) and perhaps `bias`. A kernel as
/// large as the stride without padding multiplies the extents by it; `more` are rows and columns at the end besides, fewer
/// than the stride.
///
/// # Errors
/// [`GraphError::Shape`] if x is not N×C×H×W, channels or filters do not divide into the groups, or there are too many more.
pub fn conv_transpose(
    graph: &mut Graph,
    name: &str,
    x: ValueId,
    convolution: Conv,
    more: [usize; 2],
) -> Result<ValueId, GraphError> {
    graph.within(name, |graph| {
        let [_, channels, height, width] = graph.shape(x).nchw().unwrap_or_default();
        let Conv { filters, kernel, stride, groups, .. } = convolution;
        if filters == 0 || !filters.is_multiple_of(groups.max(1)) {
            return Err(GraphError::Shape {
                layer: graph.layer(),
                operator: "transposed convolution",
                shapes: vec![graph.shape(x).clone()],
                reason: format!("{filters} filters do not divide into {groups} groups"),
            });
        }
        // Of the taps that an output has, strides leave one in stride × stride.
        let fan_in = fan_in(channels / groups.max(1), kernel).div_ceil(stride.max(1).saturating_pow(2));
        let shape = [channels, filters / groups.max(1), kernel, kernel];
        let w = graph.parameter("weight", shape, Init::kaiming_uniform(fan_in))?;
        // "Same" is said of what is made.
        let made = [height, width].map(|extent| extent.saturating_mul(stride));
        let y = graph.conv_transpose2d(x, w, convolution.operator(made), more)?;
        convolution.biased(graph, y)
    })
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

/// Embeddings of categories: the row of the parameter `weight` (rows × columns) for each of the words, N×…×columns. Rows begin
/// uniform with a deviation of 0.1, so that numbers that stand beside them weigh more at first.
///
/// # Errors
/// [`GraphError::Shape`] if the categories are no words, or there are no rows or columns.
pub fn embedding(graph: &mut Graph, name: &str, words: ValueId, table: [usize; 2]) -> Result<ValueId, GraphError> {
    graph.within(name, |graph| {
        let w = graph.parameter("weight", table, Init::Uniform { bound: 0.1 * 3f32.sqrt() })?;
        graph.embedding(words, w)
    })
}

/// A batch norm: parameters `weight`, `bias`, statistics `running_mean`, `running_var`.
///
/// # Errors
/// [`GraphError::Shape`] if x has no channels.
pub fn batch_norm(graph: &mut Graph, name: &str, x: ValueId, mode: Mode) -> Result<ValueId, GraphError> {
    batch_norm_like(graph, name, x, NORM, mode)
}

/// [`batch_norm`] with this ε and this momentum.
///
/// # Errors
/// [`GraphError::Shape`] if x has no channels.
pub fn batch_norm_like(
    graph: &mut Graph,
    name: &str,
    x: ValueId,
    norm: BatchNorm,
    mode: Mode,
) -> Result<ValueId, GraphError> {
    graph.within(name, |graph| {
        let channels = graph.shape(x).extents().get(1).copied().unwrap_or(0);
        let inputs = BatchNormState::new(graph, channels)?.inputs(x);
        match mode {
            Mode::Training => graph.apply_one(norm, &inputs),
            Mode::Evaluation => graph.apply_one(BatchNormInference { epsilon: norm.epsilon }, &inputs),
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
        graph.layer_norm(x, gamma, beta, NORM.epsilon)
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
        graph.group_norm(x, groups, gamma, beta, NORM.epsilon)
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

/// The rectifier of mobile nets, min(max(x, 0), 6).
///
/// # Errors
/// None of its own.
pub fn relu6(graph: &mut Graph, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
    graph.within(name, |graph| graph.activate(x, RELU6))
}
