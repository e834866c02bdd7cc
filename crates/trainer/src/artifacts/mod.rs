//! What runs leave on disk: the folder, its tables and curves, and the facts without which no number means anything.

pub mod comparison;
mod data_facts;
pub mod environment;
pub mod folder;
pub mod metrics;
pub mod picture;
mod tensorboard;
pub mod tiles;

pub(crate) use data_facts::MOST_FACTS;
pub use data_facts::{DATA, DataFacts};
pub use folder::{CONFIG, SUMMARY};
