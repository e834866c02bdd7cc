//! Measuring speed: whole steps ([`step`]), and operators one by one beside what the adapter can do at all ([`operators`]).
//!
//! Nothing here trains: inputs are random numbers, and nothing is left behind.

mod cases;
mod floor;
pub mod operators;
mod resident;
mod spread;
mod start;
pub mod step;
mod uploads;

pub use floor::{Bound, Floor};
pub use spread::Spread;
