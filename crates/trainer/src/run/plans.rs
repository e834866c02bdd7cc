//! The plans of a run: the training step, the evaluation beside it, and the raw step that both are measured against.

use crate::Error;
use crate::config::Form;
use frugal_model::{Net, StepShape, evaluation_step, training_step};
use frugal_tensor::codec::Policy;
use frugal_tensor::ops::optimizer::Optimizer;
use frugal_tensor::plan::Bytes;
use frugal_tensor::{Plan, PlanOptions};

/// What is planned.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The net.
    pub net: Net,
    /// Batch, image and classes.
    pub shape: StepShape,
    /// How parameters move.
    pub optimizer: Optimizer,
    /// In which form values wait.
    pub store: Form,
}

/// The plans of a run.
#[derive(Debug)]
pub struct Plans {
    /// The training step.
    pub train: Plan,
    /// The evaluation beside it, over the same memory.
    pub evaluation: Plan,
    /// The training step with everything kept raw.
    pub raw: Plan,
    /// Where the bytes go.
    pub bytes: Bytes,
}

impl Plans {
    /// Makes them. Needs no adapter.
    ///
    /// # Errors
    /// [`Error::Model`] if the net does not fit the images, [`Error::Plan`] if the step does not fit the adapter.
    pub fn new(request: &Request, options: PlanOptions) -> Result<Self, Error> {
        let Request { net, shape, optimizer, store } = *request;
        let train = Plan::new(training_step(net, shape, optimizer)?, &store.policy(), options)?;
        let raw = Plan::new(training_step(net, shape, optimizer)?, &Policy::raw(), options)?;
        let evaluation = train.beside(evaluation_step(net, shape)?)?;
        let bytes = train.bytes(&[&evaluation], &raw);
        Ok(Self { train, evaluation, raw, bytes })
    }
}
