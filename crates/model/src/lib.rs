//! Layers and nets, built from the operators of [`frugal_tensor`].
//!
//! A net is a function that adds its forward pass to a graph; [`training_step`] and [`evaluation_step`] make whole steps
//! of it. Nothing here knows of kernels, storage or files.
//!
//! ```
//! use frugal_model::{Net, StepShape, training_step};
//! use frugal_tensor::ir::KernelSet;
//! use frugal_tensor::ops::optimizer::{Optimizer, Sgd};
//! use frugal_tensor::{Plan, PlanOptions, Policy, codec::FrequencySplit};
//!
//! let shape = StepShape { batch: 64, sample: [3, 32, 32].into(), classes: 10 };
//! let sgd = Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-4 });
//! let step = training_step(&Net::find("resnet20")?, shape, sgd)?;
//! let options = PlanOptions::unlimited(KernelSet::Tiles);
//! let raw = Plan::new(step.clone(), &Policy::raw(), options.clone())?;
//! let split = Plan::new(step, &Policy::with(FrequencySplit::default()), options)?;
//! println!("{} bytes instead of {}", split.kept_bytes(), raw.kept_bytes());
//! assert!(8 * split.kept_bytes() < raw.kept_bytes());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `examples/training_loop.rs` trains a net of layers on one page.

mod error;
pub mod layers;
pub mod metrics;
pub mod nets;
pub mod sequential;
mod step;
mod task;

pub use error::ModelError;
pub use nets::{Mlp, Net};
pub use sequential::Layer;
pub use step::{StepShape, Training, evaluation_step, gradient_step, inference_step, training_step};
pub use task::{
    ArrayShape, CATEGORIES, IMAGES, LABELS, LOSS, MASK, Metric, NUMBERS, PREDICTIONS, Row, Sample, TARGETS, Task,
};
