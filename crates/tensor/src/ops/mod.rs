//! Operators: one room per family, each with its shape rule, the kernels it launches and its gradient rule.
//!
//! A kernel lies at the same path under `shaders/ops/`. Each operator says in one `kernels` function which kernel serves
//! which shape on which class of adapter.

pub mod activation;
pub mod add;
pub mod batch_norm;
pub mod broadcast;
pub mod concat;
pub mod conv2d;
pub mod cross_entropy;
pub mod dropout;
pub mod embedding;
mod epilogue;
mod gemm;
pub mod group_norm;
pub(crate) mod launch;
pub mod loss;
pub mod matmul;
pub mod multiply;
pub mod normalize_bytes;
pub mod optimizer;
pub mod pool;
pub mod reshape;
pub mod roofline;
pub mod slice;
pub mod transpose;
pub mod upsample;
pub mod weighted_losses;

pub use launch::MOST_ITERATIONS;
