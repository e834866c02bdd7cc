//! Measuring speed: whole steps ([`step`]), operators one by one beside what the adapter can do at all ([`operators`]), and a
//! page about one machine with both ([`page`]).
//!
//! Nothing here trains: inputs are random numbers, and nothing is left behind.

mod cases;
mod floor;
pub mod operators;
pub mod page;
mod resident;
mod spread;
mod start;
pub mod step;
mod uploads;

pub use floor::{Bound, Floor, Rate};
pub use spread::Spread;
