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
//! * [`mod@bench`]: measuring speed.
//! * [`report`]: plans, tables and adapters as people and programs read them.
//! * [`dashboard`]: a run on the whole terminal.
//! * [`cli`]: the verbs.
//! * `input`: files that users name, regular ones alone.
//! * `terminal`: what is printed and said, and what becomes of it when nobody can read it.
//!
//! As a library it is above all [`data`]; the rest is the program's, and changes with it. `examples/custom_data.rs` trains on a set
//! of its own.
//!
//! ```
//! use frugal_trainer::data::{self, Loader, LoaderOptions};
//!
//! let set = data::open("fashion-mnist-small", &data::default_root())?;
//! let loader = Loader::new(set.train.clone(), LoaderOptions::evaluate(&set, 64).shuffled(1))?;
//! let batch = loader.epoch(0).next().expect("an epoch has batches")?;
//! assert_eq!(batch.images.len(), 64 * 28 * 28);
//! # Ok::<(), data::DataError>(())
//! ```

// Whatever is printed goes through `terminal`, which knows what to do when it cannot be written.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod bench;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod dashboard;
pub mod data;
mod error;
mod guard;
mod input;
pub mod report;
pub mod run;
mod terminal;

pub use error::Error;
