//! Ctrl-C: the first lets the step finish and a checkpoint be written, the second stops at once.

use crate::dashboard::screen;
use crate::terminal;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit status of a program that was interrupted, by the shells' convention.
pub const STATUS: i32 = 130;

static ASKED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C, and what asks a program to end (SIGTERM, SIGHUP), ends runs in good order.
pub fn watch() {
    if let Err(error) = ctrlc::set_handler(ask) {
        tracing::warn!("Ctrl-C will stop the run at once: {error}");
    }
}

/// What Ctrl-C does.
pub(crate) fn ask() {
    if ASKED.swap(true, Ordering::Relaxed) {
        screen::close();
        stop();
    }
    // The dashboard says it itself.
    if !screen::is_open() {
        terminal::say("finishing the step and writing a checkpoint; Ctrl-C again stops at once");
    }
}

/// Ends the program now. What libraries do at its end would meet the driver's threads, which still work: one in sixty such runs
/// ended with a violation of memory (llvmpipe of Mesa 22.3).
fn stop() -> ! {
    #[cfg(unix)]
    signal_hook::low_level::exit(STATUS);
    #[cfg(not(unix))]
    std::process::exit(STATUS)
}

/// Whether the user wants the run to stop.
pub(crate) fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
