//! The keys that mean something to the dashboard.

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Ctrl-C.
    Interrupt,
    /// The letter q.
    Quit,
}

#[cfg(unix)]
pub use unix::Keys;

#[cfg(not(unix))]
pub use other::Keys;

/// Read by hand: crossterm's reader never returns once the terminal has gone away.
#[cfg(unix)]
mod unix {
    use super::Key;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    use std::collections::VecDeque;
    use std::fs::File;
    use std::io::{self, ErrorKind, IsTerminal, Read};
    use std::os::fd::AsFd;
    use std::time::{Duration, Instant};

    /// The keyboard, with keys that were read and not yet taken.
    #[derive(Debug)]
    pub struct Keys {
        keyboard: File,
        pressed: VecDeque<Key>,
    }

    impl Keys {
        /// The terminal that standard input is, else the one that controls the process.
        ///
        /// # Errors
        /// If there is neither.
        pub fn open() -> io::Result<Self> {
            let stdin = io::stdin();
            let keyboard = match stdin.is_terminal() {
                true => File::from(stdin.as_fd().try_clone_to_owned()?),
                false => File::open("/dev/tty")?,
            };
            Ok(Self { keyboard, pressed: VecDeque::new() })
        }

        /// The next key until then, if any.
        ///
        /// # Errors
        /// If the terminal has gone away.
        pub fn next(&mut self, end: Instant) -> io::Result<Option<Key>> {
            while self.pressed.is_empty() {
                let left = end.saturating_duration_since(Instant::now());
                if !self.wait(left)? {
                    return Ok(None);
                }
                let mut bytes = [0; 256];
                match self.keyboard.read(&mut bytes) {
                    Ok(0) => return Err(gone()),
                    Ok(count) => self.pressed.extend(meant(&bytes[..count])),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(self.pressed.pop_front())
        }

        /// Whether there is something to read within this time.
        fn wait(&self, time: Duration) -> io::Result<bool> {
            let limit = Timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos() as _ };
            let mut keyboard = [PollFd::new(&self.keyboard, PollFlags::IN)];
            match poll(&mut keyboard, Some(&limit)) {
                Ok(0) | Err(Errno::INTR) => Ok(false),
                Ok(_) if keyboard[0].revents().contains(PollFlags::IN) => Ok(true),
                Ok(_) => Err(gone()),
                Err(error) => Err(error.into()),
            }
        }
    }

    fn gone() -> io::Error {
        io::Error::new(ErrorKind::BrokenPipe, "its terminal has gone away")
    }

    /// The keys in what a terminal in raw mode sends. What begins with an escape is another key, such as an arrow.
    pub(super) fn meant(bytes: &[u8]) -> impl Iterator<Item = Key> {
        let plain = if bytes.starts_with(b"\x1b") { &[] } else { bytes };
        plain.iter().filter_map(|byte| match byte {
            0x03 => Some(Key::Interrupt),
            b'q' => Some(Key::Quit),
            _ => None,
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn keys_are_found_among_others() {
            let keys = |bytes: &[u8]| meant(bytes).collect::<Vec<_>>();
            assert_eq!(keys(b"aq\x03"), [Key::Quit, Key::Interrupt]);
            assert_eq!(keys(b"\x1b[1;5q"), []);
            assert_eq!(keys(b"Q "), []);
        }
    }
}

#[cfg(not(unix))]
mod other {
    use super::Key;
    use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
    use std::io;
    use std::time::Instant;

    /// The keyboard.
    #[derive(Debug)]
    pub struct Keys;

    impl Keys {
        /// The console.
        ///
        /// # Errors
        /// None.
        pub fn open() -> io::Result<Self> {
            Ok(Self)
        }

        /// The next key until then, if any.
        ///
        /// # Errors
        /// If the console cannot be read.
        pub fn next(&mut self, end: Instant) -> io::Result<Option<Key>> {
            while event::poll(end.saturating_duration_since(Instant::now()))? {
                if let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) = event::read()? {
                    match code {
                        KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => {
                            return Ok(Some(Key::Interrupt));
                        }
                        KeyCode::Char('q') => return Ok(Some(Key::Quit)),
                        _ => {}
                    }
                }
            }
            Ok(None)
        }
    }
}
