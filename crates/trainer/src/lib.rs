//! The program `frugal`: configs, data, the training loop and its reports.
//!
//! ```text
//! TOML file, --set ─▶ config ─┐
//!                   data ─────┼─▶ run: plans ─▶ loop ─▶ run folder ─▶ report
//!                    adapter ─┘
//! ```
//!
//! * [`config`]: from a file and its overrides to checked settings.
//! * [`data`]: from published files to batches.
//! * [`checkpoint`]: what a run leaves to go on from.
//! * [`run`]: one training run, its folder and what it leaves there.
//! * [`bench`]: measuring speed.
//! * [`report`]: plans, tables and adapters as people and programs read them.
//! * [`cli`]: the verbs.

pub mod bench;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod data;
mod error;
pub mod report;
pub mod run;

pub use error::Error;
