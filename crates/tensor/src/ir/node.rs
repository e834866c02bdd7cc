//! Nodes: applications of operators.

use super::{Operator, ValueId};
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// Which part of a step a node belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Phase {
    /// From the inputs to the loss, encoding included.
    Forward,
    /// From the loss to the gradients, decoding included.
    Backward,
    /// Optimisers.
    Update,
}

/// One application of an operator.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Node {
    /// What is done.
    pub operator: Rc<dyn Operator>,
    /// The layer that it belongs to.
    pub layer: String,
    /// The part of the step.
    pub phase: Phase,
    /// What it reads; some may be updated in place, see [`Operator::mutates`].
    pub inputs: Vec<ValueId>,
    /// What it makes.
    pub outputs: Vec<ValueId>,
}
