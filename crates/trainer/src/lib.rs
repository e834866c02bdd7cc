//! The program `frugal`: configs, the training loop and its reports.
//!
//! ```text
//! TOML file, --set ─▶ config ─┐
//!            frugal_data ─────┼─▶ run: plans ─▶ loop ─▶ run folder ─▶ report
//!                    adapter ─┘
//! ```
//!
//! * [`config`]: from a file and its overrides to checked settings.
//! * [`checkpoint`]: what a run leaves to go on from.
//! * [`run`]: one training run, its folder and what it leaves there.
//! * [`mod@bench`]: measuring speed.
//! * [`report`]: plans, tables and adapters as people and programs read them.
//! * [`dashboard`]: a run on the whole terminal.
//! * [`cli`]: the verbs.
//! * `terminal`: what is printed and said, and what becomes of it when nobody can read it.

// Whatever is printed goes through `terminal`, which knows what to do when it cannot be written.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod bench;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod dashboard;
mod error;
pub mod run;
mod terminal;

pub use error::Error;
