//! A run's folder: never overwritten, and every file in it is whole or absent, except those that grow with the run.

use crate::Error;
use serde::Serialize;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// The settings of a run; with it a folder is that of a run.
pub const CONFIG: &str = "config.resolved.toml";

/// What came out; with it a run is finished.
pub const SUMMARY: &str = "summary.json";

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
        Self::fresh(&Path::new("runs").join(name).join(format!("{}-{suffix}", time_stamp())))
    }

    /// Makes a folder of this name, or of one with a number behind it if that holds something already.
    ///
    /// # Errors
    /// As [`Folder::create`].
    pub fn fresh(stem: &Path) -> Result<Self, Error> {
        // Two runs may start in one second.
        for attempt in 1.. {
            let mut path = stem.to_path_buf();
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
        create(path).map_err(Error::io("create the folder", path))?;
        Ok(Self { path: path.to_path_buf() })
    }

    /// Opens a folder that is there, or makes it. What a process that was killed left half-written is taken away.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        create(path).map_err(Error::io("create the folder", path))?;
        for entry in fs::read_dir(path).map_err(Error::io("list", path))? {
            let entry = entry.map_err(Error::io("list", path))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') && name.ends_with(UNFINISHED) {
                fs::remove_file(entry.path()).map_err(Error::io("remove", &entry.path()))?;
            }
        }
        Ok(Self { path: path.to_path_buf() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file: first beside its place, then in one move. Whatever happens, there is the old content or the new.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), Error> {
        self.write_with(name, |file| file.write_all(content))
    }

    fn write_with(&self, name: &str, fill: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<(), Error> {
        let target = self.path.join(name);
        let write = || -> std::io::Result<()> {
            let mut builder = tempfile::Builder::new();
            // Temporary files are for their owner alone; results are for whom the user's umask allows.
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
            let prefix = format!(".{name}.");
            let mut file = builder.prefix(&prefix).suffix(UNFINISHED).tempfile_in(&self.path)?;
            fill(file.as_file_mut())?;
            file.as_file().sync_all()?;
            file.persist(&target)?;
            // The move itself has to reach the disk, too.
            sync(&self.path)
        };
        write().map_err(Error::io("write", &target))
    }

    /// Gives a file another name, in the place of any that has it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        let path = self.path.join(from);
        let rename = fs::rename(&path, self.path.join(to)).and_then(|()| sync(&self.path));
        rename.map_err(Error::io("rename", &path))
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

    /// Opens a file that grows, and goes on after its first `length` bytes: the others are of steps that will be done
    /// again. Where some of these bytes are missing, it goes on after the last whole record, as `whole` finds it among those
    /// that are there. Says how many are missing.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn log(&self, name: &str, length: u64, whole: Whole) -> Result<(Log, u64), Error> {
        let path = self.path.join(name);
        let open = || -> std::io::Result<(File, u64)> {
            let is_new = !path.exists();
            let mut file = File::options().create(true).truncate(false).read(true).write(true).open(&path)?;
            if is_new {
                sync(&self.path)?;
            }
            let there = file.metadata()?.len();
            // Never longer than it was: zeros are no records.
            let kept = whole(&mut BufReader::new(&file), there.min(length))?;
            if there != kept {
                file.set_len(kept)?;
            }
            file.seek(SeekFrom::Start(kept))?;
            Ok((file, kept))
        };
        let (file, kept) = open().map_err(Error::io("open", &path))?;
        Ok((Log { path, file: BufWriter::new(file), length: kept, flushed: Instant::now() }, length - kept))
    }
}

/// Where the last whole record ends among the first bytes of a file, which is at its beginning.
pub type Whole = fn(&mut BufReader<&File>, u64) -> std::io::Result<u64>;

/// Of a text whose records are lines.
pub fn whole_lines(file: &mut BufReader<&File>, length: u64) -> std::io::Result<u64> {
    let (mut end, mut at) = (0, 0);
    let mut file = file.take(length);
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            return Ok(end);
        }
        if let Some(last) = bytes.iter().rposition(|&byte| byte == b'\n') {
            end = at + last as u64 + 1;
        }
        let read = bytes.len();
        at += read as u64;
        file.consume(read);
    }
}

/// How files that are being written end.
const UNFINISHED: &str = ".part";

/// Makes a folder, and those above it that are missing. Their names reach the disk before anything is written in them: a
/// machine that is switched off must not lose a folder whose name was already printed.
fn create(path: &Path) -> std::io::Result<()> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).collect();
    fs::create_dir_all(path)?;
    missing.iter().rev().filter_map(|made| made.parent()).try_for_each(sync)
}

/// Brings the names in a folder to the disk, where the system can do that.
fn sync(folder: &Path) -> std::io::Result<()> {
    #[cfg(test)]
    tests::SYNCED.with_borrow_mut(|synced| synced.push(folder.to_path_buf()));
    #[cfg(unix)]
    {
        use std::io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        match File::open(folder).and_then(|folder| folder.sync_all()) {
            // One may write in some folders without being allowed to read them, and some file systems cannot do it.
            Err(error) if [InvalidInput, PermissionDenied, Unsupported].contains(&error.kind()) => Ok(()),
            result => result,
        }
    }
    #[cfg(not(unix))]
    Ok(())
}

/// A growing file.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: BufWriter<File>,
    length: u64,
    flushed: Instant,
}

impl Log {
    /// Adds bytes. They leave the program within about a second of the next ones.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(Error::io("write", &self.path))?;
        self.length += bytes.len() as u64;
        if self.flushed.elapsed() > Duration::from_secs(1) {
            self.flush()?;
        }
        Ok(())
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn flush(&mut self) -> Result<(), Error> {
        self.flushed = Instant::now();
        self.file.flush().map_err(Error::io("write", &self.path))
    }

    /// Brings everything to the disk and returns how many bytes there are.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sync(&mut self) -> Result<u64, Error> {
        self.flush()?;
        self.file.get_ref().sync_data().map_err(Error::io("write", &self.path))?;
        Ok(self.length)
    }

    /// How many bytes it has.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.length == 0
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
    fn a_full_disk_leaves_the_old_content() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::at(root.path()).unwrap();
        folder.write("a", b"old").unwrap();
        let full = |file: &mut File| {
            file.write_all(b"ne")?;
            Err(std::io::ErrorKind::StorageFull.into())
        };
        let error = folder.write_with("a", full).unwrap_err();
        assert!(matches!(&error, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull));
        assert!(miette::Diagnostic::help(&error).unwrap().to_string().contains("frugal resume"), "{error}");
        assert_eq!(fs::read(root.path().join("a")).unwrap(), b"old");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn what_was_half_written_goes_when_a_folder_is_opened_again() {
        let root = tempfile::tempdir().unwrap();
        for name in [".a.txt.Xy12Za.part", ".mine", "b.part"] {
            fs::write(root.path().join(name), "").unwrap();
        }
        Folder::open(root.path()).unwrap();
        let mut left: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".mine", "b.part"]);
    }

    #[test]
    fn a_log_goes_on_where_it_was_and_never_grows_zeros() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::at(root.path()).unwrap();
        let open = |length| folder.log("log", length, whole_lines).unwrap();
        let (mut log, missing) = open(0);
        log.add(b"one\n").unwrap();
        let length = log.sync().unwrap();
        log.add(b"two\n").unwrap();
        log.sync().unwrap();
        assert_eq!(missing, 0);
        let (mut log, missing) = open(length);
        log.add(b"three\n").unwrap();
        assert_eq!((log.sync().unwrap(), missing), (10, 0));
        let content = || fs::read(root.path().join("log")).unwrap();
        assert_eq!(content(), b"one\nthree\n");
        for length in [1000, u64::MAX] {
            let (mut log, missing) = open(length);
            assert_eq!((log.sync().unwrap(), missing), (10, length - 10));
        }
        // A record of which only a part is there does not become a part of the next one.
        fs::write(root.path().join("log"), b"one\nthr").unwrap();
        let (mut log, missing) = open(10);
        log.add(b"four\n").unwrap();
        log.sync().unwrap();
        assert_eq!((content(), missing), (b"one\nfour\n".to_vec(), 6));
    }

    thread_local! {
        pub(super) static SYNCED: std::cell::RefCell<Vec<PathBuf>> = const { std::cell::RefCell::new(Vec::new()) };
    }

    #[test]
    fn names_of_new_folders_and_files_reach_the_disk() {
        let root = tempfile::tempdir().unwrap();
        let synced = || SYNCED.take();
        synced();
        let folder = Folder::at(&root.path().join("runs/name/now")).unwrap();
        assert_eq!(synced(), ["", "runs", "runs/name"].map(|name| root.path().join(name)));
        folder.write("a", b"a").unwrap();
        folder.log("log", 0, whole_lines).unwrap();
        assert_eq!(synced(), [folder.path(), folder.path()]);
        Folder::open(folder.path()).unwrap();
        folder.log("log", 0, whole_lines).unwrap();
        assert!(synced().is_empty());
    }

    #[test]
    fn time_stamps_sort_and_have_no_colons() {
        let stamp = time_stamp();
        assert_eq!(stamp.len(), 15);
        assert!(stamp.chars().all(|c| c.is_ascii_digit() || c == '-'), "{stamp}");
    }
}
