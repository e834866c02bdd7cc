//! Measuring speed: whole steps ([`step`]), operators one by one beside what the adapter can do at all ([`operators`]),
//! and which tiles serve them best ([`mod@tune`]).
//!
//! Nothing here trains: inputs are random numbers, and nothing is left behind.

mod cases;
mod floor;
pub mod operators;
mod resident;
mod spread;
mod start;
pub mod step;
pub mod tune;
mod uploads;

pub use floor::{Bound, Floor};
pub use spread::Spread;
