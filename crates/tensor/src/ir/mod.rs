//! The intermediate representation of a step: values, the nodes that make them, and what operators say of themselves.
//!
//! All shapes are known when a node is added, so every misfit is reported there, with the layer's name, and so is a value with
//! more elements than kernels can count: what comes after may multiply extents as it likes. The list of
//! nodes is the order of execution; a gradient graph is more nodes at its end.

mod activation;
mod backward;
mod batch;
mod error;
mod graph;
mod kernel;
mod node;
mod operator;
mod operator_kind;
mod parametrisation;
mod pattern;
mod precision;
mod readers;
mod recompute;
mod saved;
mod shape;
pub mod step;
pub mod tiles;
mod value;
mod variant;
mod verify;

pub use activation::{Activation, RELU6};
pub use backward::Backward;
pub use batch::{AlongBatch, BatchSlice, Part, SplitStep, SplitValue};
pub use error::GraphError;
pub(crate) use error::batch_advice;
pub use graph::{GradientAverage, Graph, ParameterUpdate, PassRecord};
pub use kernel::ALIGNMENT;
pub(crate) use kernel::MOST_ROUNDS;
pub use kernel::{Binding, Kernel, KernelContext, KernelSet, Operands, Parameter, Precision, Variable};
pub use node::{Node, Phase};
pub(crate) use operator::want;
pub use operator::{Operator, Output, WeightGradientRole};
pub use operator_kind::{ErrorRole, OperatorKind};
pub use parametrisation::{Frozen, ParameterRequest, Parametrisation};
pub(crate) use pattern::matches;
pub(crate) use readers::Readers;
pub use recompute::{RecomputeInput, RecomputeRule};
pub use saved::{Interval, Need, SavedTensor};
pub use shape::{MOST_ELEMENTS, Shape};
pub use tiles::{Tile, TileTable};
pub use value::{Element, Init, Lifetime, Role, Value, ValueId};
pub use variant::Variant;
pub use verify::{Fault, verify};
