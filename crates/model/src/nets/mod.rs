//! Nets, each in one short file. Parameters carry PyTorch's names.

mod alexnet;
mod autoencoder;
mod densenet;
mod efficientnet_lite;
mod lenet;
mod mlp;
mod mobilenet_v2;
mod resnet;
mod resnet_cifar;
mod resnet_preact;
mod unet;
mod vgg;
mod vgg_small;

use crate::ModelError;
use crate::layers::{self, Mode};
use crate::sequential::{self, Layer};
use crate::task::{ArrayShape, IMAGES, Row, Sample, Task};
use frugal_tensor::ir::{Element, Graph, GraphError, ValueId};
use std::fmt;
use std::sync::Arc;

/// What a net's forward pass is built for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Build {
    pub(crate) classes: usize,
    pub(crate) mode: Mode,
    narrow: usize,
    drops: bool,
}

impl Build {
    /// The channels of a hidden layer that has `full` of them in the published net.
    fn channels(&self, full: usize) -> usize {
        full.div_ceil(self.narrow)
    }

    /// Dropout, unless the net does without.
    pub(crate) fn dropout(&self, graph: &mut Graph, name: &str, x: ValueId, rate: f32) -> Result<ValueId, GraphError> {
        let mode = if self.drops { self.mode } else { Mode::Evaluation };
        layers::dropout(graph, name, x, rate, mode)
    }
}

/// Adds a net's forward pass: from images N×C×H×W to what its task asks for.
type Forward = fn(&mut Graph, ValueId, Build) -> Result<ValueId, GraphError>;

/// Where the forward pass comes from.
#[derive(Clone)]
enum Source {
    Function(Forward),
    Layers(Arc<[Layer]>),
    Mlp(Mlp),
}

/// A net: one by name, or a list of layers.
#[derive(Clone)]
pub struct Net {
    /// What the user calls it.
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    /// What it makes of images.
    pub task: Task,
    narrow: usize,
    drops: bool,
    embedding: usize,
    /// Mean and deviation of each channel, if images come as bytes.
    normalization: Option<Arc<[Vec<f32>; 2]>>,
    source: Source,
}

pub use mlp::Mlp;

/// Elements of a category's embedding, by default.
const EMBEDDING: usize = 8;

const fn net(name: &'static str, about: &'static str, forward: Forward) -> Net {
    other(Task::Classes, name, about, forward)
}

/// A net that need not be a classifier.
const fn other(task: Task, name: &'static str, about: &'static str, forward: Forward) -> Net {
    made_of(Source::Function(forward), task, name, about)
}

const fn made_of(source: Source, task: Task, name: &'static str, about: &'static str) -> Net {
    Net { name, about, task, narrow: 1, drops: true, embedding: EMBEDDING, normalization: None, source }
}

/// A residual net for small images.
macro_rules! resnet_cifar {
    ($name:literal, $blocks:literal, $about:literal) => {
        net($name, concat!("residual net for small images, ", $about, " per stage"), |graph, x, build| {
            resnet_cifar::forward(graph, x, build, $blocks)
        })
    };
}

/// What `mlp` is.
const MLP: &str = "multi-layer perceptron: for rows of tables, whose categories are embedded, and for images";

static NETS: &[Net] = &[
    net("lenet", "two 5×5 convolutions with max pooling, two fully connected layers", lenet::forward),
    resnet_cifar!("resnet8", 1, "one block"),
    resnet_cifar!("resnet20", 3, "three blocks"),
    resnet_cifar!("resnet32", 5, "five blocks"),
    resnet_cifar!("resnet44", 7, "seven blocks"),
    resnet_cifar!("resnet56", 9, "nine blocks"),
    resnet_cifar!("resnet110", 18, "18 blocks"),
    net("resnet164", "residual net for small images, 54 bottlenecks that normalise first", resnet_preact::forward),
    net("vgg-small", "six 3×3 convolutions with norms for small images, one fully connected layer", vgg_small::forward),
    net("alexnet", "five convolutions, three fully connected layers", alexnet::forward),
    net("vgg11", "eight convolutions of 3×3, three fully connected layers", vgg::forward_11),
    net("vgg16", "13 convolutions of 3×3, three fully connected layers", vgg::forward_16),
    net("resnet18", "residual net for large images, two blocks per stage", resnet::forward_18),
    net("resnet34", "residual net for large images, three to six blocks per stage", resnet::forward_34),
    net("resnet50", "residual net for large images, 16 bottlenecks", resnet::forward_50),
    net("densenet121", "58 densely connected layers in four blocks", densenet::forward),
    net("mobilenet-v2", "17 blocks that widen, filter each channel by itself and narrow", mobilenet_v2::forward),
    net("efficientnet-lite0", "16 blocks like MobileNetV2's, partly of 5×5", efficientnet_lite::forward),
    made_of(Source::Mlp(Mlp::USUAL), Task::Classes, "mlp", MLP),
    other(Task::Pixels, "unet", "small U-Net: a class for each pixel", unet::forward),
    other(Task::Images, "autoencoder", "convolutional auto-encoder: the image again", autoencoder::forward),
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
        NETS.iter().find(|net| net.name == name).cloned().ok_or_else(|| ModelError::NoSuchNet {
            name: name.to_string(),
            known: NETS.iter().map(|net| net.name).collect::<Vec<_>>().join(", "),
        })
    }

    /// What nets of [`Net::sequential`] are called.
    pub const SEQUENTIAL: &str = "layers";

    /// A classifier of these layers, one after the other, with the parameter names of PyTorch's `nn.Sequential`. Of rows of a table
    /// the first layer takes the embedded categories and the numbers, N×features.
    pub fn sequential(layers: impl Into<Arc<[Layer]>>) -> Net {
        made_of(Source::Layers(layers.into()), Task::Classes, Self::SEQUENTIAL, "layers, one after the other")
    }

    /// The net `mlp` with other hidden layers.
    pub fn mlp(mlp: Mlp) -> Net {
        made_of(Source::Mlp(mlp), Task::Classes, "mlp", MLP)
    }

    /// The net with embeddings of so many elements for the categories of rows. Nets for images have none.
    pub fn with_embedding(self, elements: usize) -> Net {
        Net { embedding: elements, ..self }
    }

    /// The net to be trained for numbers and not for classes. Nets that make images or values of pixels stay as they are.
    pub fn for_values(self) -> Net {
        Net { task: if self.task == Task::Classes { Task::Values } else { self.task }, ..self }
    }

    /// The net with one in `by` of its hidden channels, rounded up: the same layers for trying things out. Nets of
    /// [`Net::sequential`] stay as they are.
    pub fn narrowed(self, by: usize) -> Net {
        Net { narrow: by.max(1), ..self }
    }

    /// The net for images that come as the bytes they are: the step begins with `(x / 255 − mean) / std`, with a mean and a deviation
    /// for each channel. What nets that make images are told of them comes as bytes, too, and stands for 0 to 1. Bytes are what the
    /// backward pass keeps of the images, exactly and in every store. Mixed images and rows stay as they are.
    pub fn on_bytes(self, mean: &[f32], std: &[f32]) -> Net {
        Net { normalization: Some(Arc::new([mean.to_vec(), std.to_vec()])), ..self }
    }

    /// The inputs of a step that samples are uploaded to. Mixed images are no bytes.
    pub fn inputs(&self, sample: Sample, mixed: bool) -> Vec<ArrayShape> {
        let bytes = self.normalization.is_some() && sample.image().is_some() && !mixed;
        sample.inputs().into_iter().map(|input| if bytes { input.of(Element::U8) } else { input }).collect()
    }

    /// What a step is told of each sample, see [`Task::target`].
    pub fn target(&self, sample: Sample, outputs: usize, mixed: bool) -> ArrayShape {
        let target = self.task.target(sample, outputs, mixed);
        let image = matches!(self.task, Task::Pixels | Task::Images) && sample.image().is_some();
        if image && self.normalization.is_some() { target.of(Element::U8) } else { target }
    }

    /// The net without its dropout: what is left can be compared number by number.
    pub fn without_dropout(self) -> Net {
        Net { drops: false, ..self }
    }

    /// Adds the forward pass: images N×C×H×W to logits N×classes, or to what its task says.
    ///
    /// # Errors
    /// [`GraphError::Shape`] if the net does not fit the images.
    pub fn forward(&self, graph: &mut Graph, x: ValueId, classes: usize, mode: Mode) -> Result<ValueId, GraphError> {
        let build = Build { classes, mode, narrow: self.narrow, drops: self.drops };
        match &self.source {
            Source::Function(forward) => forward(graph, x, build),
            Source::Layers(layers) => sequential::classifier(graph, x, layers, build),
            Source::Mlp(mlp) => mlp::forward(graph, x, build, mlp),
        }
    }

    /// Adds the forward pass for samples of any kind, from their inputs in the order of [`Sample::inputs`].
    ///
    /// # Errors
    /// [`ModelError::Graph`] if the net does not fit them, [`ModelError::NoRows`] if they are rows and the net takes images.
    pub(crate) fn forward_samples(
        &self,
        graph: &mut Graph,
        sample: Sample,
        inputs: &[ValueId],
        classes: usize,
        mode: Mode,
    ) -> Result<ValueId, ModelError> {
        let x = match sample {
            Sample::Image(_) => self.read_images(graph, inputs[0])?,
            Sample::Row(_) if matches!(self.source, Source::Function(_)) => {
                return Err(ModelError::NoRows { net: self.name });
            }
            Sample::Row(row) => self.embed(graph, row, inputs)?,
        };
        Ok(self.forward(graph, x, classes, mode)?)
    }

    /// Images as the net takes them.
    fn read_images(&self, graph: &mut Graph, images: ValueId) -> Result<ValueId, GraphError> {
        match &self.normalization {
            Some(normalization) if graph.value(images).element == Element::U8 => {
                let [mean, std] = &**normalization;
                graph.within(IMAGES, |graph| graph.normalize_bytes(images, mean, std))
            }
            _ => Ok(images),
        }
    }

    /// The features of rows, N×F: the embedding of each category, then the numbers. All columns share one table, `embedding.weight`.
    fn embed(&self, graph: &mut Graph, row: Row, inputs: &[ValueId]) -> Result<ValueId, GraphError> {
        let Row { categories, vocabulary, .. } = row;
        if categories == 0 {
            return Ok(inputs[0]);
        }
        let embedded = layers::embedding(graph, "embedding", inputs[0], [vocabulary, self.embedding])?;
        graph.within("embedding", |graph| {
            let embedded = graph.flatten(embedded)?;
            graph.concat(&[&[embedded], &inputs[1..]].concat())
        })
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Net({})", self.name)
    }
}
