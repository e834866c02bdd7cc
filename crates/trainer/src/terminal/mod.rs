//! What people and scripts read: progress and warnings on standard error, results on standard output.
//!
//! Progress that cannot be shown is lost and nothing else happens: a run never ends because its reader went away. A result
//! that cannot be written is an error, unless its reader has closed the pipe (`| head`), which is what readers do.
//! Names of files, classes and layers come from outside; their control characters are shown and never sent, so that a name
//! cannot move the cursor or change the terminal's settings.

use crate::Error;
pub(crate) mod interrupt;
pub(crate) mod screen;

use frugal_report::text::shown;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether standard output was closed when the program began. Rust's runtime opens `/dev/null` in its place, which takes all.
static OUTPUT_IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// From now on nothing can be written to standard output.
pub fn close_output() {
    OUTPUT_IS_CLOSED.store(true, Ordering::Relaxed);
}

/// Says a line on standard error; while the dashboard is open, the line is held until it closes.
pub fn say(text: impl Display) {
    screen::say(&format!("{}\n", shown(&text.to_string())));
}

/// Says a warning.
pub fn warn(text: impl Display) {
    say(format_args!("warning: {text}"));
}

/// Says why the program ends; the text brings its line breaks and colours.
pub fn complain(text: impl Display) {
    let _ = write!(io::stderr(), "{text}");
}

/// Standard error for what libraries log: as [`say`].
#[derive(Debug)]
pub struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        screen::say(&shown(&String::from_utf8_lossy(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Replaces the last line on standard error, which must be a terminal; an empty text clears it.
pub fn replace_line(text: &str) {
    let _ = write!(io::stderr(), "\r\x1b[2K{}", shown(text));
}

/// Prints a result and a line break on standard output.
///
/// # Errors
/// [`Error::Output`] if it cannot be written, but for a pipe that its reader has closed.
pub fn print(text: impl Display) -> Result<(), Error> {
    print_bytes(format!("{}\n", shown(&text.to_string())).as_bytes())
}

/// Prints a value as JSON.
///
/// # Errors
/// As [`print`].
pub fn print_json(value: &impl serde::Serialize) -> Result<(), Error> {
    print(serde_json::to_string_pretty(value).expect("reports have text keys only"))
}

/// Prints a report, for people or as JSON.
///
/// # Errors
/// As [`print`].
pub fn report(report: &(impl Display + serde::Serialize), json: bool) -> Result<(), Error> {
    if json { print_json(report) } else { print(report) }
}

/// Prints bytes as they are.
///
/// # Errors
/// As [`print`].
pub fn print_bytes(bytes: &[u8]) -> Result<(), Error> {
    if OUTPUT_IS_CLOSED.load(Ordering::Relaxed) {
        return Err(Error::Output(io::Error::new(ErrorKind::NotConnected, "it is closed")));
    }
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}
