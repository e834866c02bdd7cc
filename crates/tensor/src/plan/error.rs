//! Why a plan cannot be made.

use crate::ir::{GraphError, Shape, batch_advice};

/// Why a plan cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A value is larger than a kernel may bind on the adapter.
    #[error(
        "layer `{layer}`: value {shape} takes {bytes} bytes, but a kernel can bind at most {limit} on this adapter{advice}",
        advice = batch_advice(*largest_batch)
    )]
    TooLarge {
        /// Where in the net.
        layer: String,
        /// Extents of the value.
        shape: Shape,
        /// Its size.
        bytes: u64,
        /// What the adapter allows.
        limit: u64,
        /// The largest batch whose values all fit; none if the value does not belong to a batch.
        largest_batch: Option<usize>,
    },
    /// A value is larger than a buffer of the adapter may be, though kernels would bind it in parts.
    #[error("`{name}`, {shape}, takes {bytes} bytes, but a buffer holds at most {limit} on this adapter")]
    NoBuffer {
        /// The value.
        name: String,
        /// Its extents.
        shape: Shape,
        /// Its size.
        bytes: u64,
        /// What the adapter allows.
        limit: u64,
    },
    /// What a kernel needs besides its values is more than it may bind on the adapter.
    #[error(
        "layer `{layer}`: {operator} needs {bytes} bytes of scratch, but a kernel can bind at most {limit} on this adapter"
    )]
    TooMuchScratch {
        /// Where in the net.
        layer: String,
        /// Which operator.
        operator: &'static str,
        /// How much.
        bytes: u64,
        /// What the adapter allows.
        limit: u64,
    },
    /// A kernel needs more workgroups than two folded dimensions hold.
    #[error("layer `{layer}`: kernel {shader} needs {workgroups} workgroups, more than any adapter runs at once")]
    TooManyWorkgroups {
        /// Where in the net.
        layer: String,
        /// Which kernel.
        shader: &'static str,
        /// How many.
        workgroups: usize,
    },
    /// A kernel's loops are longer than drivers that run on CPU cores let them be: llvmpipe ends them early without a word.
    #[error(
        "layer `{layer}`: the loops of kernel {shader} take {rounds} rounds, but drivers that run on CPU cores end them after {limit}"
    )]
    TooManyRounds {
        /// Where in the net.
        layer: String,
        /// Which kernel.
        shader: &'static str,
        /// How many.
        rounds: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A plan that shares memory with another has a persistent value that the other lacks.
    #[error("`{0}` is not among the persistent values of the plan to share memory with, or has another shape there")]
    NotShared(String),
    /// Executables over one store have a value of one name in two shapes.
    #[error("executables cannot share `{name}`: it is {one} in one of them and {other} in another")]
    ShapesDiffer {
        /// The value.
        name: String,
        /// Its extents in one.
        one: Shape,
        /// Its extents in the other.
        other: Shape,
    },
    /// Executables over one store have a value of one name with two types of elements.
    #[error("executables cannot share `{0}`: its elements are of two types")]
    ElementsDiffer(String),
    /// Executables over one store have two constants of one name.
    #[error("executables cannot share `{0}`: it is a constant, and they have two of them")]
    ConstantsDiffer(String),
    /// The host cannot exchange gradients in the middle of the step.
    #[error("the bucket of gradients with `{0}` is read before all of it is made, so the host cannot exchange it")]
    NoExchange(String),
    /// The graph itself is wrong.
    #[error(transparent)]
    Graph(#[from] GraphError),
}
