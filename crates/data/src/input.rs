//! Files that users name.
//!
//! Only regular files are read: a pipe without a writer would wait for ever, and a device such as `/dev/zero` never ends. A
//! file that is larger than what it should hold is refused before memory is taken for it.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// The most that a text for people may have: configs, lists of classes, tables of tiles.
pub const MOST_TEXT: u64 = 16 << 20;

/// Opens a regular file.
///
/// # Errors
/// What the operating system says, or [`ErrorKind::InvalidInput`] if it is a folder, a pipe, a socket or a device.
pub fn open(path: &Path) -> io::Result<File> {
    // Asked before it is opened: opening a pipe waits for its writer.
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_file() {
        return File::open(path);
    }
    let what =
        if kind.is_dir() { "it is a folder" } else { "it is not a regular file but a pipe, a socket or a device" };
    Err(io::Error::new(ErrorKind::InvalidInput, what))
}

/// Reads a regular file of at most so many bytes.
///
/// # Errors
/// As [`open`]; [`ErrorKind::FileTooLarge`] if it has more; [`ErrorKind::OutOfMemory`] if there is not so much memory.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    let too_large =
        || io::Error::new(ErrorKind::FileTooLarge, format!("it has more than the {most} bytes that are read"));
    if length > most {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let room = usize::try_from(length).map_err(|_| ErrorKind::OutOfMemory)?;
    bytes.try_reserve_exact(room).map_err(|_| ErrorKind::OutOfMemory)?;
    // It may grow meanwhile, or claim to be empty as the files in `/proc` do.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(too_large()) } else { Ok(bytes) }
}

/// Reads a text in UTF-8, without the byte-order mark that some editors put before it.
///
/// # Errors
/// As [`read`], with [`MOST_TEXT`]; [`ErrorKind::InvalidData`] if it is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    read_short_text(path, MOST_TEXT)
}

/// The same, of at most so many bytes.
///
/// # Errors
/// As [`read_text`].
pub fn read_short_text(path: &Path, most: u64) -> io::Result<String> {
    let text = String::from_utf8(read(path, most)?);
    let text =
        text.map_err(|error| io::Error::new(ErrorKind::InvalidData, format!("it is not text in UTF-8: {error}")))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_read_and_no_more_than_is_expected() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("text");
        std::fs::write(&path, "\u{feff}name = 1\n").unwrap();
        assert_eq!(read_text(&path).unwrap(), "name = 1\n");
        assert_eq!(read(&path, 12).unwrap().len(), 12);
        assert_eq!(read(&path, 11).unwrap_err().kind(), ErrorKind::FileTooLarge);
        std::fs::write(&path, [0xff]).unwrap();
        assert_eq!(read_text(&path).unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(read(root.path(), 10).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(read(&root.path().join("none"), 10).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn devices_and_pipes_are_refused_at_once() {
        assert_eq!(read(Path::new("/dev/zero"), u64::MAX).unwrap_err().kind(), ErrorKind::InvalidInput);
        let root = tempfile::tempdir().unwrap();
        let pipe = root.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(open(&pipe).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
