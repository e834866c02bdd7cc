//! What people and scripts read: progress and warnings on standard error, results on standard output.
//!
//! Progress that cannot be shown is lost and nothing else happens: a run never ends because its reader went away. A result
//! that cannot be written is an error, unless its reader has closed the pipe (`| head`), which is what readers do.
//! Names of files, classes and layers come from outside; their control characters are shown and never sent, so that a name
//! cannot move the cursor or change the terminal's settings.

use crate::Error;
use crate::dashboard::screen;
use std::borrow::Cow;
use std::fmt::{Display, Write as _};
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

/// The text with control characters, other than line breaks and tabs, written as `\u001b`. The escapes are those of JSON.
pub fn shown(text: &str) -> Cow<'_, str> {
    let is_sent = |c: char| !c.is_control() || c == '\n' || c == '\t';
    if text.chars().all(is_sent) {
        return Cow::Borrowed(text);
    }
    let mut visible = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_sent(c) {
            visible.push(c);
        } else {
            write!(visible, "\\u{:04x}", u32::from(c)).expect("a string takes any text");
        }
    }
    Cow::Owned(visible)
}

/// The text, or where it is too long its beginning and how long it is.
pub fn brief(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}… ({} bytes)", &text[..end], text.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_sent() {
        assert_eq!(shown("a\tb\nc é 猫"), "a\tb\nc é 猫");
        assert_eq!(shown("\x1b[2Jcat\u{9b}1m\x07\r\x7f"), "\\u001b[2Jcat\\u009b1m\\u0007\\u000d\\u007f");
    }

    #[test]
    fn long_texts_are_cut_and_say_how_long_they_are() {
        assert_eq!(brief("äöü", 3), "äöü");
        assert_eq!(brief("äöüß", 3), "äöü… (8 bytes)");
    }
}
