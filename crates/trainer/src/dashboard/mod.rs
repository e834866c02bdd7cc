//! A run on the whole terminal: curves, bytes by kind, pace and time left.
//!
//! ```text
//! the loop ─▶ events ─▶ state ─▶ draw ─▶ screen
//!              keys ─▶ as Ctrl-C
//! ```
//!
//! It shows the records that the run writes down anyway. A separate thread draws; the loop hands it what happened and
//! never waits for it.

mod curve;
mod draw;
mod keys;
mod state;

pub use state::{Heading, State};

use crate::terminal;
use crate::terminal::interrupt;
use crate::terminal::screen::{self, Canvas};
use frugal_report::records::Record;
use frugal_tensor::plan::Bytes;
use keys::{Key, Keys};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two pictures.
const INTERVAL: Duration = Duration::from_millis(100);

/// What the loop tells the dashboard.
#[derive(Debug)]
pub enum Event {
    /// What the run has written down.
    Record(Record),
    /// What was written down before the run was resumed: the first bytes of its `metrics.jsonl`.
    Past(PathBuf, u64),
    /// Where the bytes go from now on.
    Bytes(Bytes),
    /// What is being done while no steps are.
    Doing(String),
}

/// The dashboard; the terminal is given back when it goes.
#[derive(Debug)]
pub struct Dashboard {
    /// None when it is over.
    events: Option<Sender<Event>>,
    thread: Option<JoinHandle<()>>,
}

impl Dashboard {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// Where standard error is no terminal that can show a picture.
    pub fn open(heading: Heading) -> io::Result<Self> {
        screen::open()?;
        let (events, received) = channel();
        let show = move || {
            // A terminal that goes away is no reason to stop training.
            if let Err(error) = show(State::new(heading), &received) {
                screen::close();
                terminal::warn(format_args!("the run goes on without its dashboard: {error}"));
            }
        };
        let thread = std::thread::Builder::new().name("dashboard".to_owned()).spawn(show);
        let thread = thread.inspect_err(|_| screen::close())?;
        Ok(Self { events: Some(events), thread: Some(thread) })
    }

    /// Tells it what happened.
    pub fn tell(&self, event: Event) {
        if let Some(events) = &self.events {
            // Nobody listens if the terminal went away.
            let _ = events.send(event);
        }
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.events = None;
        if let Some(thread) = self.thread.take() {
            // Its panic was shown by the hook.
            let _ = thread.join();
        }
        screen::close();
    }
}

/// Draws until the run ends.
fn show(mut state: State, events: &Receiver<Event>) -> io::Result<()> {
    let begin = Instant::now();
    let mut keys = Keys::open()?;
    let mut terminal = Terminal::new(CrosstermBackend::new(Canvas::default()))?;
    while screen::is_open() {
        loop {
            match events.try_recv() {
                Ok(event) => note(&mut state, event),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
        }
        state.elapsed = begin.elapsed();
        state.stopping = interrupt::is_asked();
        state.said = screen::said(draw::LINES);
        terminal.draw(|frame| draw::draw(frame, &state))?;
        let next = Instant::now() + INTERVAL;
        while let Some(key) = keys.next(next)? {
            answer(key);
        }
    }
    Ok(())
}

fn note(state: &mut State, event: Event) {
    match event {
        Event::Record(record) => state.add(&record),
        Event::Bytes(bytes) => state.bytes = bytes,
        Event::Doing(what) => state.doing = what,
        Event::Past(path, bytes) => {
            let doing = std::mem::take(&mut state.doing);
            // Without the past there are only the curves from here on.
            let Ok(file) = frugal_data::input::open(&path) else { return };
            let lines = BufReader::new(file.take(bytes)).lines().map_while(Result::ok);
            lines.filter_map(|line| serde_json::from_str(&line).ok()).for_each(|record| state.add(&record));
            state.forget_pace();
            state.doing = doing;
        }
    }
}

/// A terminal that shows a picture makes no signals of keys.
fn answer(key: Key) {
    match key {
        Key::Interrupt => interrupt::ask(),
        // A key that is held down too long would stop the run at once.
        Key::Quit if !interrupt::is_asked() => interrupt::ask(),
        Key::Quit => {}
    }
}
