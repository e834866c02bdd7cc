//! What a GPU can do: graphs, operators, storage codecs, memory plans and recorded steps over wgpu.
//!
//! A training step is a plan. The stages are plain values, each made from the one before:
//!
//! ```text
//! Graph ─▶ differentiate ──▶ passes ──▶ Plan ─▶ Executable, StoreLayout ─▶ Session
//! values,   each rule names   each saved  lifetimes,  tables of plain data:     buffers, pipelines and
//! shapes    the tensors that  tensor gets offsets,    dispatches, places,       bind groups, replayed
//!           it saves          a codec     the ledger  uploads, read-backs       once per batch
//! ```
//!
//! * [`ir`]: values, nodes, shapes, and what an operator says of itself.
//! * [`ops`]: one module per operator family: its shape rule, its kernels, its gradient rule.
//! * [`codec`]: the forms in which a tensor is saved between the forward and the backward pass.
//! * [`passes`]: rewrites of the graph: the gradient graph, stores, the order of nodes, nodes done in one pass.
//! * [`plan`]: lifetimes become buffers, nodes become dispatches; what runs as plain data; the byte ledger.
//! * [`step`]: the protocol of a step between the host and the kernels.
//! * [`runtime`]: adapters, the device, shaders, and the session that replays executables over one store.
//!
//! Everything before [`runtime`] works on a machine without any adapter:
//!
//! ```
//! use frugal_tensor::codec::Uniform;
//! use frugal_tensor::ir::{Element, Init, KernelSet};
//! use frugal_tensor::{Graph, Plan, PlanOptions, Policy};
//!
//! // y = tanh(x·wᵀ), and the gradient of Σ dy·y with respect to w.
//! let mut graph = Graph::new();
//! let x = graph.input("x", [64, 256], Element::F32);
//! let w = graph.parameter("w", [128, 256], Init::kaiming_uniform(256))?;
//! let y = graph.linear(x, w)?;
//! let y = graph.activate(y, frugal_tensor::ops::activation::Activation::Tanh)?;
//! let dy = graph.input("dy", [64, 128], Element::F32);
//! let dw = graph.differentiate(&[(y, Some(dy))])?[&w];
//! graph.mark_metric(dw);
//!
//! // x and tanh are saved for it: as they are, or in four bits an element.
//! let options = PlanOptions::unlimited(KernelSet::Tiles);
//! let raw = Plan::new(graph.clone(), &Policy::raw(), options.clone())?;
//! let coded = Plan::new(graph, &Policy::with(Uniform { bits: 4, group: 256 }), options)?;
//! let dy = 4 * 64 * 128;
//! assert_eq!(raw.kept_bytes() - dy, 4 * 64 * (256 + 128));
//! assert!(7 * (coded.kept_bytes() - dy) < raw.kept_bytes() - dy);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What runs plans is a [`PlannedSession`]: `examples/custom_operator.rs` and `examples/custom_codec.rs` do it on a page each, with an
//! custom operator and a custom codec.

pub mod codec;
pub mod ir;
pub mod ops;
pub mod passes;
pub mod plan;
pub mod random;
pub mod runtime;

pub use codec::{Codec, Policy};
pub use ir::{Graph, GraphError, Shape, ValueId, step};
pub use plan::{Plan, PlanError, PlanOptions};
pub use runtime::{Gpu, GpuError, PlannedSession, Session};
