//! The program `frugal`.

use std::process::ExitCode;

fn main() -> ExitCode {
    quiet_driver();
    frugal_trainer::cli::main()
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
