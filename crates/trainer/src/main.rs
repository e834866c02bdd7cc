//! The program `frugal`.

use std::process::ExitCode;

fn main() -> ExitCode {
    quiet_driver();
    frugal_trainer::cli::main(output::is_closed())
}

/// Whether there is a standard output. It must be asked before `main`: Rust's runtime opens `/dev/null` in the place of one
/// that is closed, and then results would be lost without a word.
#[cfg(unix)]
mod output {
    use std::sync::atomic::{AtomicBool, Ordering};

    static CLOSED: AtomicBool = AtomicBool::new(false);

    #[used]
    #[allow(unsafe_code)]
    // SAFETY: the section holds pointers to functions that are called before `main`, and this is one. The function needs
    // nothing of Rust's runtime.
    #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
    #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
    static ASK: extern "C" fn() = ask;

    extern "C" fn ask() {
        let closed = rustix::io::fcntl_getfd(rustix::stdio::stdout()) == Err(rustix::io::Errno::BADF);
        CLOSED.store(closed, Ordering::Relaxed);
    }

    pub fn is_closed() -> bool {
        CLOSED.load(Ordering::Relaxed)
    }
}

#[cfg(not(unix))]
mod output {
    pub fn is_closed() -> bool {
        false
    }
}

/// Mesa's device-select layer prints "XDG_RUNTIME_DIR is invalid" on machines without a desktop; what it selects does
/// not matter here, because the adapter is chosen by name or number.
#[allow(unsafe_code)]
fn quiet_driver() {
    const VARIABLE: &str = "NODEVICE_SELECT";
    if std::env::var_os(VARIABLE).is_none() {
        // SAFETY: this is the first statement of the program, no other thread exists yet.
        unsafe { std::env::set_var(VARIABLE, "1") };
    }
}
