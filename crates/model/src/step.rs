//! Whole steps: training, evaluation, answers.

use crate::task::{ArrayShape, LOSS, MASK, Metric, PREDICTIONS, Sample, TARGETS};
use crate::{ModelError, Net, layers::Mode};
use frugal_tensor::ir::{Element, Graph, Value, ValueId};
use frugal_tensor::ops::loss::Loss;
use frugal_tensor::ops::optimizer::UpdateConfig;

/// The extents of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepShape {
    /// Samples in a batch.
    pub batch: usize,
    /// What a sample is.
    pub sample: Sample,
    /// Number of classes, or of values; of a net that makes a value for each pixel, the channels of what it makes.
    pub classes: usize,
}

/// What a step makes small, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Training {
    /// The loss.
    pub loss: Loss,
    /// How parameters move.
    pub update: UpdateConfig,
    /// Whether training is told a share of each class (targets, N×classes) and not a label: samples are mixed.
    pub mixed: bool,
}

impl<R: Into<UpdateConfig>> From<R> for Training {
    /// By cross-entropy.
    fn from(update: R) -> Self {
        Self { loss: Loss::default(), update: update.into(), mixed: false }
    }
}

fn batched(graph: &mut Graph, array: ArrayShape, batch: usize) -> ValueId {
    let extents = [&[batch], array.extents.as_slice()].concat();
    graph.input(array.name, extents.as_slice(), array.element)
}

fn forward(net: &Net, shape: StepShape, training: Training, mode: Mode) -> Result<(Graph, ValueId), ModelError> {
    let mut graph = Graph::new();
    graph.set_batch(shape.batch);
    let mixed = training.mixed && mode == Mode::Training;
    let inputs = net.inputs(shape.sample, mixed).into_iter().map(|input| batched(&mut graph, input, shape.batch));
    let inputs: Vec<ValueId> = inputs.collect();
    let target = net.target(shape.sample, shape.classes, mixed);
    let target = batched(&mut graph, target, shape.batch);
    let mask = graph.input(MASK, [shape.batch], Element::F32);
    let predictions = net.forward_samples(&mut graph, shape.sample, &inputs, shape.classes, mode)?;
    graph.name_output(PREDICTIONS, predictions);
    if !net.task.takes(training.loss) {
        let (from, to) = (graph.shape(inputs[0]), graph.shape(predictions));
        let makes = format!("{} ({from} → {to})", net.task.makes());
        let parameters = graph.parameters().map(|(_, value)| value.shape.elements()).sum();
        return Err(ModelError::NoLoss { net: net.name, makes, parameters });
    }
    let target = match graph.value(target).element {
        Element::U8 => {
            let (mean, std) = (vec![0.0; shape.classes], vec![1.0; shape.classes]);
            graph.within(TARGETS, |graph| graph.normalize_bytes(target, &mean, &std))?
        }
        _ => target,
    };
    let loss = graph.within("loss", |graph| graph.loss(training.loss, predictions, target, mask))?;
    graph.name_output(LOSS, loss);
    Ok((graph, loss))
}

/// Forward, backward and update. Uploads: the sample's inputs, labels (or targets), mask, control (see [`Graph::control`]); metrics: mean loss,
/// correct predictions, samples counted, spare; then those of a loss scale, if there is one.
///
/// # Errors
/// [`ModelError::Graph`] if the net does not fit the images, [`ModelError::NoLoss`] if the loss is not for what it makes.
pub fn training_step(net: &Net, shape: StepShape, training: impl Into<Training>) -> Result<Graph, ModelError> {
    let training = training.into();
    let (mut graph, loss) = forward(net, shape, training, Mode::Training)?;
    let scale = training.update.loss_scale.map(|setting| graph.loss_scale(setting)).transpose()?;
    let gradients = graph.differentiate(&[(loss, scale)])?;
    graph.train(training.update, loss, &gradients)?;
    Ok(graph)
}

/// Forward and backward alone: nothing changes the parameters. Returns each parameter's name with its gradient. Uploads and
/// metrics as in [`training_step`]; control only if an operator or a codec draws random numbers. The update has no part in it.
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

/// Forward to the predictions rather than to a loss. Uploads: the sample's inputs; read back: [`PREDICTIONS`], for example N×classes
/// logits.
///
/// # Errors
/// [`ModelError::Graph`] if the net does not fit the samples, [`ModelError::NoRows`] if it takes none of these.
pub fn inference_step(net: &Net, shape: StepShape) -> Result<Graph, ModelError> {
    let mut graph = Graph::new();
    graph.set_batch(shape.batch);
    let inputs = net.inputs(shape.sample, false).into_iter().map(|input| batched(&mut graph, input, shape.batch));
    let inputs: Vec<ValueId> = inputs.collect();
    let predictions = net.forward_samples(&mut graph, shape.sample, &inputs, shape.classes, Mode::Evaluation)?;
    graph.name_output(PREDICTIONS, predictions);
    graph.mark_metric(predictions);
    Ok(graph)
}

/// Forward alone, over the running statistics of the training step and its parameters, or their averages if it keeps
/// those. Uploads: the sample's inputs, labels (or targets), mask; metrics as in [`training_step`], and [`PREDICTIONS`] if a metric of
/// the task takes them.
///
/// # Errors
/// [`ModelError::Graph`] if the net does not fit the images, [`ModelError::NoLoss`] if the loss is not for what it makes.
pub fn evaluation_step(net: &Net, shape: StepShape, training: impl Into<Training>) -> Result<Graph, ModelError> {
    let training = training.into();
    let (mut graph, _) = forward(net, shape, training, Mode::Evaluation)?;
    let metrics = net.task.metrics(shape.sample, shape.classes, training.loss);
    if metrics.into_iter().any(Metric::takes_predictions) {
        let predictions = graph.output(PREDICTIONS).expect("every forward pass names it");
        graph.mark_metric(predictions);
    }
    if training.update.average.is_some() {
        graph.use_averages();
    }
    Ok(graph)
}
