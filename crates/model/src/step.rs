//! Whole steps: training, evaluation, answers.

use crate::{ModelError, Net, layers::Mode, nets::Task};
use frugal_tensor::ir::{Element, Graph, Value, ValueId};
use frugal_tensor::ops::loss::Loss;
use frugal_tensor::ops::optimizer::UpdateConfig;

/// Name of the input of images: N×C×H×W.
pub const IMAGES: &str = "images";
/// Name of the input of labels: N words.
pub const LABELS: &str = "labels";
/// Name of the input that takes the place of labels where a target has the output's shape.
pub const TARGETS: &str = "targets";
/// Name of the input that says which samples count: N elements, 1 or 0.
pub const MASK: &str = "mask";

/// The extents of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepShape {
    /// Samples in a batch.
    pub batch: usize,
    /// Channels, height and width of an image.
    pub image: [usize; 3],
    /// Number of classes; of a net that makes a value for each pixel, the channels of what it makes.
    pub classes: usize,
}

/// What a step makes small, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Training {
    /// The loss.
    pub loss: Loss,
    /// How parameters move.
    pub recipe: UpdateConfig,
    /// Whether training is told a share of each class (targets, N×classes) and not a label: samples are mixed.
    pub mixed: bool,
}

impl<R: Into<UpdateConfig>> From<R> for Training {
    /// By cross-entropy.
    fn from(recipe: R) -> Self {
        Self { loss: Loss::default(), recipe: recipe.into(), mixed: false }
    }
}

fn forward(net: &Net, shape: StepShape, training: Training, mode: Mode) -> Result<(Graph, ValueId), ModelError> {
    let mut graph = Graph::new();
    graph.set_batch(shape.batch);
    let [channels, height, width] = shape.image;
    let images = graph.input(IMAGES, [shape.batch, channels, height, width], Element::F32);
    let target = match net.task {
        Task::Classes if training.mixed && mode == Mode::Training => {
            graph.input(TARGETS, [shape.batch, shape.classes], Element::F32)
        }
        Task::Classes => graph.input(LABELS, [shape.batch], Element::U32),
        Task::Pixels => graph.input(TARGETS, [shape.batch, shape.classes, height, width], Element::F32),
        Task::Images => graph.input(TARGETS, [shape.batch, channels, height, width], Element::F32),
    };
    let mask = graph.input(MASK, [shape.batch], Element::F32);
    let logits = net.forward(&mut graph, images, shape.classes, mode)?;
    if net.task != Task::Classes && matches!(training.loss, Loss::CrossEntropy { .. }) {
        let makes = match net.task {
            Task::Pixels => "logits for each pixel",
            _ => "images",
        };
        let (from, to) = (graph.shape(images), graph.shape(logits));
        let makes = format!("{makes} ({from} → {to})");
        let parameters = graph.parameters().map(|(_, value)| value.shape.elements()).sum();
        return Err(ModelError::NoLoss { net: net.name, makes, parameters });
    }
    let loss = graph.within("loss", |graph| graph.loss(training.loss, logits, target, mask))?;
    Ok((graph, loss))
}

/// Forward, backward and update. Uploads: images, labels (or targets), mask, control (see [`Graph::control`]); metrics: mean loss,
/// correct predictions, samples counted, spare; then those of a loss scale, if there is one.
///
/// # Errors
/// [`ModelError::Graph`] if the net does not fit the images, [`ModelError::NoLoss`] if the loss is not for what it makes.
pub fn training_step(net: &Net, shape: StepShape, training: impl Into<Training>) -> Result<Graph, ModelError> {
    let training = training.into();
    let (mut graph, loss) = forward(net, shape, training, Mode::Training)?;
    let scale = training.recipe.loss_scale.map(|setting| graph.loss_scale(setting)).transpose()?;
    let gradients = graph.differentiate(&[(loss, scale)])?;
    graph.train(training.recipe, loss, &gradients)?;
    Ok(graph)
}

/// Forward and backward alone: nothing changes the parameters. Returns each parameter's name with its gradient. Uploads and
/// metrics as in [`training_step`]; control only if an operator or a codec draws random numbers. The recipe has no part in it.
///
/// # Errors
/// [`ModelError::Graph`] if the net does not fit the images, [`ModelError::NoLoss`] if the loss is not for what it makes.
pub fn gradient_step(
    net: &Net,
    shape: StepShape,
    training: impl Into<Training>,
) -> Result<(Graph, Vec<(String, ValueId)>), ModelError> {
    let (mut graph, loss) = forward(net, shape, training.into(), Mode::Training)?;
    let gradients = graph.differentiate(&[(loss, None)])?;
    let of = |(id, value): (ValueId, &Value)| Some((value.name.clone(), *gradients.get(&id)?));
    let named = graph.parameters().filter_map(of).collect();
    Ok((graph, named))
}

/// Forward to the outputs, for answers rather than for a loss. Upload: images; metric: N×classes logits.
///
/// # Errors
/// [`ModelError::Graph`] if the net does not fit the images.
pub fn inference_step(net: &Net, shape: StepShape) -> Result<Graph, ModelError> {
    let mut graph = Graph::new();
    graph.set_batch(shape.batch);
    let [channels, height, width] = shape.image;
    let images = graph.input(IMAGES, [shape.batch, channels, height, width], Element::F32);
    let logits = net.forward(&mut graph, images, shape.classes, Mode::Evaluation)?;
    graph.mark_metric(logits);
    Ok(graph)
}

/// Forward alone, over the running statistics of the training step and its parameters, or their averages if it keeps
/// those. Uploads: images, labels, mask;
/// metrics as in [`training_step`].
///
/// # Errors
/// [`ModelError::Graph`] if the net does not fit the images, [`ModelError::NoLoss`] if the loss is not for what it makes.
pub fn evaluation_step(net: &Net, shape: StepShape, training: impl Into<Training>) -> Result<Graph, ModelError> {
    let training = training.into();
    let (mut graph, _) = forward(net, shape, training, Mode::Evaluation)?;
    if training.recipe.average.is_some() {
        graph.use_averages();
    }
    Ok(graph)
}
