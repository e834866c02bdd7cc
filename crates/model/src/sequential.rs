//! Nets as lists of layers, each of which takes what the one before it makes: PyTorch's `nn.Sequential`, with its names.
//! Layer 3 has the parameters `3.weight` and `3.bias`, the third layer of the body of a residual block `3.body.2.weight`.

use crate::layers::{self, Conv};
use crate::nets::Build;
use frugal_tensor::ir::{Graph, GraphError, ValueId};
use frugal_tensor::ops::activation::Activation;
use frugal_tensor::ops::batch_norm::BatchNorm;
use frugal_tensor::ops::upsample::Upsampling;

/// A layer of a list.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// A convolution.
    Conv(Conv),
    /// The transpose of a convolution; see [`layers::conv_transpose`].
    ConvTranspose {
        /// What it is the transpose of: `filters` are the channels that it makes.
        convolution: Conv,
        /// Rows and columns at the end besides.
        output_padding: usize,
    },
    /// A fully connected layer, N×inputs to N×outputs.
    Linear {
        /// None for as many as there are classes.
        outputs: Option<usize>,
    },
    /// A function of one element.
    Activation(Activation),
    /// A batch norm.
    BatchNorm(BatchNorm),
    /// A layer norm over the last axis.
    LayerNorm,
    /// A group norm.
    GroupNorm {
        /// Groups of channels.
        groups: usize,
    },
    /// Dropout.
    Dropout {
        /// The share of elements that is dropped.
        rate: f32,
    },
    /// Max pooling with square windows. Padding never wins.
    MaxPool {
        /// Extent of a window.
        kernel: usize,
        /// Steps between windows.
        stride: usize,
        /// Padding on each side.
        padding: usize,
    },
    /// Average pooling, windows side by side.
    AveragePool {
        /// Extent of a window.
        kernel: usize,
    },
    /// Average pooling to these extents.
    AdaptiveAveragePool {
        /// Height and width.
        extents: [usize; 2],
    },
    /// The mean of each plane: N×C×H×W to N×C.
    GlobalAveragePool,
    /// One row per sample.
    Flatten,
    /// Larger planes.
    Upsample {
        /// By how much, on both axes.
        factor: usize,
        /// How.
        how: Upsampling,
    },
    /// body(x) + shortcut(x); a shortcut without layers is x itself.
    Residual {
        /// The layers beside the shortcut.
        body: Vec<Layer>,
        /// Those of the shortcut.
        shortcut: Vec<Layer>,
    },
}

/// Adds the layers one after the other, under their numbers.
pub(crate) fn forward(graph: &mut Graph, x: ValueId, list: &[Layer], build: Build) -> Result<ValueId, GraphError> {
    let mut numbered = list.iter().enumerate();
    numbered.try_fold(x, |x, (number, layer)| layer.apply(graph, &number.to_string(), x, build))
}

/// [`forward`] for a whole net, which has to end with a logit for each class.
pub(crate) fn classifier(graph: &mut Graph, x: ValueId, list: &[Layer], build: Build) -> Result<ValueId, GraphError> {
    let logits = forward(graph, x, list, build)?;
    let wanted = [graph.shape(x)[0], build.classes];
    if graph.shape(logits).extents() == wanted {
        return Ok(logits);
    }
    Err(GraphError::Shape {
        layer: list.len().saturating_sub(1).to_string(),
        operator: "the loss",
        shapes: vec![graph.shape(logits).clone()],
        reason: format!("the last layer must make {}×{}, a logit for each class", wanted[0], wanted[1]),
    })
}

impl Layer {
    fn apply(&self, graph: &mut Graph, name: &str, x: ValueId, build: Build) -> Result<ValueId, GraphError> {
        match self {
            Layer::Conv(convolution) => convolution.apply(graph, name, x),
            Layer::ConvTranspose { convolution, output_padding } => {
                layers::conv_transpose(graph, name, x, *convolution, [*output_padding; 2])
            }
            Layer::Linear { outputs } => layers::linear(graph, name, x, outputs.unwrap_or(build.classes)),
            Layer::BatchNorm(norm) => layers::batch_norm_like(graph, name, x, *norm, build.mode),
            Layer::LayerNorm => layers::layer_norm(graph, name, x),
            Layer::GroupNorm { groups } => layers::group_norm(graph, name, x, *groups),
            Layer::Dropout { rate } => build.dropout(graph, name, x, *rate),
            _ => graph.within(name, |graph| self.apply_within(graph, x, build)),
        }
    }

    /// Layers without parameters.
    fn apply_within(&self, graph: &mut Graph, x: ValueId, build: Build) -> Result<ValueId, GraphError> {
        match self {
            Layer::Activation(activation) => graph.activate(x, *activation),
            Layer::MaxPool { kernel, stride, padding } => graph.max_pool_padded(x, *kernel, *stride, *padding),
            Layer::AveragePool { kernel } => graph.average_pool(x, *kernel),
            Layer::AdaptiveAveragePool { extents } => graph.adaptive_average_pool(x, *extents),
            Layer::GlobalAveragePool => graph.global_average_pool(x),
            Layer::Flatten => graph.flatten(x),
            Layer::Upsample { factor, how } => {
                let [_, _, height, width] = graph.shape(x).nchw().unwrap_or_default();
                graph.upsample(x, *how, [height, width].map(|extent| extent.saturating_mul(*factor)))
            }
            Layer::Residual { body, shortcut } => {
                let y = graph.within("body", |graph| forward(graph, x, body, build))?;
                let x = graph.within("shortcut", |graph| forward(graph, x, shortcut, build))?;
                graph.add(y, x)
            }
            _ => unreachable!("layers with parameters were matched before"),
        }
    }
}
