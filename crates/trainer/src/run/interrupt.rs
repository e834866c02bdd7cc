//! Ctrl-C: the first lets the step finish and a checkpoint be written, the second stops at once.

use std::sync::atomic::{AtomicBool, Ordering};

/// The exit status of a program that was interrupted, by the shells' convention.
pub const STATUS: i32 = 130;

static ASKED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C, and what asks a program to end (SIGTERM, SIGHUP), ends runs in good order.
pub fn watch() {
    let watching = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::Relaxed) {
            std::process::exit(STATUS);
        }
        eprintln!("finishing the step and writing a checkpoint; Ctrl-C again stops at once");
    });
    if let Err(error) = watching {
        tracing::warn!("Ctrl-C will stop the run at once: {error}");
    }
}

/// Whether the user wants the run to stop.
pub(super) fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
