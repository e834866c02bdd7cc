//! Measuring speed: whole steps ([`step`]), operators one by one beside what the adapter can do at all ([`operators`]), a page
//! about one machine with both ([`page`]), and which tiles serve an adapter best ([`mod@tune`]).
//!
//! Nothing here trains: inputs are random numbers, and nothing is left behind.

mod cases;
mod exchange;
pub mod operators;
pub mod page;
mod products;
mod resident;
mod roofline;
pub mod slices;
mod start;
pub mod step;
pub mod tune;
mod uploads;
