//! A run's folder: never overwritten, and every file in it is whole or absent, except the growing `metrics.jsonl`.

use crate::Error;
use serde::Serialize;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// A folder for results.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes the folder `out`, or else `runs/<name>/<time>-<suffix>`.
    ///
    /// # Errors
    /// [`Error::FolderTaken`] if it holds something already.
    pub fn create(out: Option<&Path>, name: &str, suffix: &str) -> Result<Self, Error> {
        if let Some(out) = out {
            return Self::at(out);
        }
        let stem = Path::new("runs").join(name).join(format!("{}-{suffix}", time_stamp()));
        // Two runs may start in one second.
        for attempt in 1.. {
            let mut path = stem.clone();
            if attempt > 1 {
                path.as_mut_os_string().push(format!("-{attempt}"));
            }
            match Self::at(&path) {
                Err(Error::FolderTaken(_)) if attempt < 100 => {}
                result => return result,
            }
        }
        unreachable!("the hundredth attempt returns")
    }

    /// Makes the folder `path`.
    ///
    /// # Errors
    /// [`Error::FolderTaken`] if it holds something already.
    pub fn at(path: &Path) -> Result<Self, Error> {
        if fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Error::FolderTaken(path.to_path_buf()));
        }
        fs::create_dir_all(path).map_err(Error::io("create the folder", path))?;
        Ok(Self { path: path.to_path_buf() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder in it.
    ///
    /// # Errors
    /// As [`Folder::at`].
    pub fn inner(&self, name: &str) -> Result<Self, Error> {
        Self::at(&self.path.join(name))
    }

    /// Writes a file: first beside its place, then in one move.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), Error> {
        let target = self.path.join(name);
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::Builder::new().prefix(&format!(".{name}.")).tempfile_in(&self.path)?;
            file.write_all(content)?;
            file.as_file().sync_all()?;
            file.persist(&target)?;
            Ok(())
        };
        write().map_err(Error::io("write", &target))?;
        readable(&target);
        Ok(())
    }

    /// Writes a value as JSON for people and programs.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        let mut text = serde_json::to_string_pretty(value).expect("reports have text keys only");
        text.push('\n');
        self.write(name, text.as_bytes())
    }

    /// Opens the file to which one line is added per record.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn log(&self, name: &str) -> Result<Log, Error> {
        let path = self.path.join(name);
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        Ok(Log { path, file: BufWriter::new(file), flushed: Instant::now() })
    }
}

/// Temporary files are for their owner alone; results are for whom the folder is for.
fn readable(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Where the file system knows no permissions, there is nothing to loosen.
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o644));
    }
    #[cfg(not(unix))]
    let _ = path;
}

/// A growing file of JSON lines.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: BufWriter<File>,
    flushed: Instant,
}

impl Log {
    /// Adds a line. It reaches the disk within about a second of the next one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn add(&mut self, record: &impl Serialize) -> Result<(), Error> {
        let line = serde_json::to_string(record).expect("records have text keys only");
        writeln!(self.file, "{line}").map_err(Error::io("write", &self.path))?;
        if self.flushed.elapsed() > Duration::from_secs(1) {
            self.flush()?;
        }
        Ok(())
    }

    /// Brings all lines to the disk.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn flush(&mut self) -> Result<(), Error> {
        self.flushed = Instant::now();
        self.file.flush().map_err(Error::io("write", &self.path))
    }
}

/// The time in UTC, in a form that sorts and that every file system takes: `20260131-235959`.
fn time_stamp() -> String {
    let full = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    full.trim_end_matches('Z').replace(['-', ':'], "").replace('T', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_never_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::at(&root.path().join("run")).unwrap();
        // Empty ones may be taken again.
        Folder::at(folder.path()).unwrap();
        folder.write("a.txt", b"a").unwrap();
        assert!(matches!(Folder::at(folder.path()), Err(Error::FolderTaken(_))));
        assert_eq!(fs::read(folder.path().join("a.txt")).unwrap(), b"a");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn time_stamps_sort_and_have_no_colons() {
        let stamp = time_stamp();
        assert_eq!(stamp.len(), 15);
        assert!(stamp.chars().all(|c| c.is_ascii_digit() || c == '-'), "{stamp}");
    }
}
