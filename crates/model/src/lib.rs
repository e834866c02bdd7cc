//! Layers and nets, built from the operators of [`frugal_tensor`].
//!
//! A net is a function that adds its forward pass to a graph; [`training_step`] and [`evaluation_step`] make whole steps
//! of it. Nothing here knows of kernels, storage or files.

mod error;
pub mod layers;
pub mod nets;
mod step;

pub use error::ModelError;
pub use nets::{Net, Task};
pub use step::{
    IMAGES, LABELS, MASK, StepShape, TARGETS, Training, evaluation_step, gradient_step, inference_step, training_step,
};
