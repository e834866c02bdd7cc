//! How well a trained net does: on a set, or on single pictures.

mod classes;
mod counts;
mod inference;

pub use classes::{ClassMap, Classes};
pub(crate) use classes::{changed, same_order};
pub use inference::{Inference, Trained, Which};
