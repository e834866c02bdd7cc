//! Rewrites of the graph: one file for each.

mod autodiff;
mod defer_branches;
mod f16;
mod fuse_epilogues;
pub mod recompute;
mod save_tensors;
mod schedule_updates;
mod swap_relu_maxpool;

pub use save_tensors::store;
pub(crate) use save_tensors::store_within;
