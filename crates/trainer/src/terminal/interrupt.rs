//! Ctrl-C: the first lets the step finish and a checkpoint be written, the second stops at once.

use crate::terminal;
use crate::terminal::screen;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit status of a program that was interrupted, by the shells' convention.
pub const STATUS: i32 = 130;

static ASKED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C, and what asks a program to end (SIGTERM, SIGHUP), ends runs in good order. A signal that is ignored
/// stays ignored: that is how `nohup` and the background jobs of scripts keep a program alive.
pub fn watch() {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        if let Err(error) = signals::handle(ask) {
            terminal::warn(format_args!("Ctrl-C will stop the run at once: {error}"));
        }
    });
}

/// What Ctrl-C does.
pub(crate) fn ask() {
    if ASKED.swap(true, Ordering::Relaxed) {
        screen::close();
        signals::stop();
    }
    // The dashboard says it itself.
    if !screen::is_open() {
        terminal::say("finishing the step and writing a checkpoint; Ctrl-C again stops at once");
    }
}

/// Whether the user wants the run to stop.
pub(crate) fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

#[cfg(unix)]
mod signals {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use std::{io, mem, ptr, thread};

    /// Calls `react` for each signal, on a separate thread.
    pub fn handle(react: fn()) -> io::Result<()> {
        let heeded = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| !is_ignored(signal));
        let mut signals = Signals::new(heeded)?;
        let wait = move || signals.forever().for_each(|_| react());
        thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
    }

    #[allow(unsafe_code)]
    fn is_ignored(signal: i32) -> bool {
        // SAFETY: all fields of the struct may be zero. A call without a new action only writes the present one into it.
        unsafe {
            let mut present: libc::sigaction = mem::zeroed();
            libc::sigaction(signal, ptr::null(), &raw mut present) == 0 && present.sa_sigaction == libc::SIG_IGN
        }
    }

    /// Ends the program now. What libraries do at its end would meet the driver's threads, which still work: one in sixty
    /// such runs ended with a violation of memory (llvmpipe of Mesa 22.3).
    pub fn stop() -> ! {
        signal_hook::low_level::exit(super::STATUS)
    }
}

#[cfg(not(unix))]
mod signals {
    pub use ctrlc::set_handler as handle;

    /// Ends the program now.
    pub fn stop() -> ! {
        std::process::exit(super::STATUS)
    }
}
