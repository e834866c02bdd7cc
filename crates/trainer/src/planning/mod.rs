//! What a run will do, known before there is a device: its steps, its batches, the forms that a budget allows, the largest batch.

pub mod budget;
mod largest_batch;
mod loaders;
mod plans;
pub(crate) mod uploads;

pub use largest_batch::largest_batch;
pub(crate) use loaders::Loaders;
pub use plans::{Plans, RawPlans, Request};

use crate::Error;
use crate::config::{Config, Design, Model, sample_of};
use frugal_data::{Dataset, Pixels};
use frugal_model::{ModelError, Net, Sample, StepShape, Task, inference_step};
use frugal_tensor::Gpu;

/// The position of the training step among a session's plans.
pub(crate) const TRAIN: usize = 0;

/// The position of the evaluation.
pub(crate) const EVALUATE: usize = 1;

/// What a config asks to be planned, for samples of this kind: all that does not depend on what images are normalised by. To run it,
/// see [`request_for`].
///
/// # Errors
/// [`Error::Model`] if there is no such net, [`Error::Config`] if its layers do not fit the samples.
pub fn request(config: &Config, sample: Sample, classes: usize) -> Result<Request, Error> {
    let channels = sample.image().map_or(0, |[channels, ..]| channels);
    request_with(config, sample, classes, [&vec![0.0; channels], &vec![1.0; channels]])
}

/// What a config asks to be planned, for the samples of a set.
///
/// # Errors
/// As [`request`].
pub fn request_for(config: &Config, data: &Dataset) -> Result<Request, Error> {
    request_with(config, sample_of(data), data.classes, [&data.mean, &data.std])
}

fn request_with(config: &Config, sample: Sample, classes: usize, normalization: [&[f32]; 2]) -> Result<Request, Error> {
    let shape = step_shape(&config.model.net()?, config.data.batch, sample, classes);
    let (training, store) = (config.training(), config.store.clone());
    let net = net(&config.model, config.data.pixels(), normalization, shape)?;
    Ok(Request { net, shape, training, precision: config.train.precision, store })
}

/// The net of a config, for images that are uploaded as these pixels, with a mean and a deviation for each channel. A list of layers is
/// tried on the samples: what does not fit is shown where it stands.
pub(crate) fn net(model: &Model, pixels: Pixels, [mean, std]: [&[f32]; 2], shape: StepShape) -> Result<Net, Error> {
    let net = match pixels {
        Pixels::Bytes => model.net()?.on_bytes(mean, std),
        Pixels::Normalised => model.net()?,
    };
    if let Design::Layers(layers) = &model.design
        && let Err(ModelError::Graph(error)) = inference_step(&net, shape)
    {
        return Err(layers.locate(&error).map_or_else(|| ModelError::Graph(error).into(), Error::Config));
    }
    Ok(net)
}

/// The extents of a step on a set. Where a net makes images, they are of the shape that it sees.
pub(crate) fn step_shape(net: &Net, batch: usize, sample: Sample, classes: usize) -> StepShape {
    let classes = match (net.task, sample) {
        (Task::Pixels | Task::Images, Sample::Image([channels, ..])) => channels,
        _ => classes,
    };
    StepShape { batch, sample, classes }
}

/// The plans of a run on an open device: what cannot run is known before anything is written.
///
/// # Errors
/// [`Error::Model`], [`Error::Plan`].
pub fn plans(config: &Config, data: &Dataset, gpu: &Gpu) -> Result<Plans, Error> {
    Plans::new(&request_for(config, data)?, gpu.plan_options())
}
