//! The terminal as one picture: taken over when the dashboard opens and given back whatever happens.
//!
//! What is said meanwhile would tear the picture. It is held, and said when the terminal is given back.

use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// While the picture is there: what is to be said after it.
static HELD: Mutex<Option<Vec<u8>>> = Mutex::new(None);

fn held() -> MutexGuard<'static, Option<Vec<u8>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the terminal over.
///
/// # Errors
/// Where standard error is no terminal that can show a picture.
pub fn open() -> io::Result<()> {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if dumb || !io::stderr().is_terminal() {
        return Err(io::Error::other("standard error is no terminal that can show it"));
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !frugal_data::guard::is_guarded() {
                close();
            }
            before(panic);
        }));
    });
    enable_raw_mode()?;
    *held() = Some(Vec::new());
    // Not every terminal has a screen for it that is empty.
    execute!(io::stderr(), EnterAlternateScreen, Clear(ClearType::All), Hide).inspect_err(|_| close())
}

/// Gives the terminal back and says what was held; nothing if that was done before.
pub fn close() {
    let Some(said) = held().take() else { return };
    // The terminal may be gone: then there is nothing to give back.
    let _ = execute!(io::stderr(), LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
    let _ = io::stderr().write_all(&said);
}

/// Whether the picture is there.
pub fn is_open() -> bool {
    held().is_some()
}

/// The last lines that are held.
pub fn said(lines: usize) -> Vec<String> {
    let held = held();
    let text = String::from_utf8_lossy(held.as_deref().unwrap_or_default());
    let mut last: Vec<String> = text.lines().rev().take(lines).map(str::to_owned).collect();
    last.reverse();
    last
}

/// Says a text on standard error, or when the picture goes. What cannot be said is lost.
pub fn say(text: &str) {
    match &mut *held() {
        Some(held) => held.extend_from_slice(text.as_bytes()),
        None => drop(io::stderr().write_all(text.as_bytes())),
    }
}

/// Gathers what changes in the picture, and shows it in one go.
#[derive(Debug, Default)]
pub struct Canvas(Vec<u8>);

impl Write for Canvas {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        // Under the lock: nobody gives the terminal back in between.
        let held = held();
        let changes = std::mem::take(&mut self.0);
        if held.is_some() { io::stderr().write_all(&changes) } else { Ok(()) }
    }
}
