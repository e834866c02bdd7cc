//! What a run will do, known before there is a device: its steps, its batches, the forms that a budget allows, the largest batch.

pub mod budget;
mod largest_batch;
mod loaders;
mod plans;

pub use largest_batch::largest_batch;
pub(crate) use loaders::Loaders;
pub use plans::{Plans, Request};

use crate::Error;
use crate::config::{Config, Design, Model};
use frugal_data::Dataset;
use frugal_model::{ModelError, Net, StepShape, Task, inference_step};
use frugal_tensor::Gpu;

/// The position of the training step among a session's plans.
pub(crate) const TRAIN: usize = 0;

/// The position of the evaluation.
pub(crate) const EVALUATE: usize = 1;

/// What a config asks to be planned, for images of this shape.
///
/// # Errors
/// [`Error::Model`] if there is no such net, [`Error::Config`] if its layers do not fit the images.
pub fn request(config: &Config, image: [usize; 3], classes: usize) -> Result<Request, Error> {
    let shape = step_shape(&config.model.net()?, config.data.batch, image, classes);
    let (training, store) = (config.training(), config.store.clone());
    Ok(Request { net: net(&config.model, shape)?, shape, training, precision: config.train.precision, store })
}

/// The net of a config. A list of layers is tried on the images: what does not fit is shown where it stands.
pub(crate) fn net(model: &Model, shape: StepShape) -> Result<Net, Error> {
    let net = model.net()?;
    if let Design::Layers(layers) = &model.design
        && let Err(ModelError::Graph(error)) = inference_step(&net, shape)
    {
        return Err(layers.locate(&error).map_or_else(|| ModelError::Graph(error).into(), Error::Config));
    }
    Ok(net)
}

/// The extents of a step on a set. Where a net makes images, they are of the shape that it sees.
pub(crate) fn step_shape(net: &Net, batch: usize, image: [usize; 3], classes: usize) -> StepShape {
    StepShape { batch, image, classes: if net.task == Task::Classes { classes } else { image[0] } }
}

/// The plans of a run on an open device: what cannot run is known before anything is written.
///
/// # Errors
/// [`Error::Model`], [`Error::Plan`].
pub fn plans(config: &Config, data: &Dataset, gpu: &Gpu) -> Result<Plans, Error> {
    Plans::new(&request(config, data.shape, data.classes)?, gpu.plan_options())
}
