//! What a GPU can do: graphs, operators, storage codecs, memory plans and recorded steps over wgpu.
//!
//! A training step is a plan. The stages are plain values, each made from the one before:
//!
//! ```text
//! Graph ─▶ differentiate ─▶ store ─▶ Plan ─▶ Session
//! values,   each rule names   each kept  lifetimes,  buffers, pipelines and bind groups,
//! shapes    what it keeps     value gets offsets,    replayed once per batch
//!                             a codec    dispatches
//! ```
//!
//! * [`graph`]: values, nodes, shapes, and the gradient graph.
//! * [`ops`]: one room per operator family: its shape rule, its kernels, its gradient rule.
//! * [`codec`]: the forms in which a value can wait from the forward to the backward pass.
//! * [`plan`]: lifetimes become buffers, nodes become dispatches; the byte ledger.
//! * [`gpu`]: adapters, the device, shaders, and the session that replays a plan.
//!
//! Everything before [`gpu`] works on a machine without any adapter.

pub mod codec;
pub mod gpu;
pub mod graph;
pub mod ops;
pub mod plan;
pub mod random;

pub use codec::{Codec, Policy};
pub use gpu::{Gpu, GpuError, Session};
pub use graph::{Graph, GraphError, Shape, ValueId};
pub use plan::{Plan, PlanError, PlanOptions};
