//! The program `frugal`: configs, the training loop and what it leaves.
//!
//! ```text
//! TOML file, --set ─▶ config ─┐
//!            frugal_data ─────┼─▶ planning ─▶ training ─▶ artifacts ─▶ frugal_report
//!                    adapter ─┘                └▶ state: checkpoints ─▶ resume
//! ```
//!
//! In the order in which modules may import each other, those above by those below:
//!
//! * `error`: everything that can keep the program from doing what it was asked, and what to do about it.
//! * `terminal`: what is printed and said, what becomes of it when nobody can read it, and Ctrl-C.
//! * [`config`]: from a file and its overrides to checked settings.
//! * [`artifacts`]: what runs leave on disk.
//! * [`dashboard`]: a run on the whole terminal.
//! * [`planning`]: what a run will do, known before there is a device.
//! * [`state`]: what lives from step to step: checkpoints, and how a run goes on from them.
//! * [`evaluation`]: how well a trained net does.
//! * [`training`]: the loop.
//! * [`studies`]: trained nets beside each other.
//! * [`mod@bench`]: measuring speed.
//! * [`cli`]: the verbs.

// Whatever is printed goes through `terminal`, which knows what to do when it cannot be written.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod artifacts;
pub mod bench;
pub mod cli;
pub mod config;
pub mod dashboard;
mod error;
pub mod evaluation;
pub mod planning;
pub mod state;
pub mod studies;
mod terminal;
pub mod training;

pub use error::Error;
