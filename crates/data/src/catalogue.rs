//! The sets that Frugal knows by name: what they are, which files they consist of, where those come from.
//!
//! To add a set, add a [`Spec`] to `sets.rs`. Checksums and sizes are those of the unpacked content, because the same
//! content is gzipped differently by different origins.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::sets::SPECS;
use super::{DataError, cifar, table};

/// One line of the catalogue, for printing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// What to write after `frugal data get` and in a config.
    pub name: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// Under which terms the data may be used, as far as its authors say.
    pub licence: &'static str,
    /// Channels, height, width; of a table 1, 1 and its columns.
    pub shape: [usize; 3],
    /// Columns of a table; 0 of images.
    #[serde(skip_serializing_if = "is_zero")]
    pub columns: usize,
    /// Number of classes.
    pub classes: usize,
    /// Number of training samples.
    pub train: usize,
    /// Number of test samples.
    pub test: usize,
    /// Whether it is part of the program, or made by it, and needs no file.
    pub embedded: bool,
    /// Whether it can be opened now: embedded, or all its files are there in full length.
    pub present: bool,
    /// Bytes on disk, or in the program, of all its files; none if it is made when it is opened.
    pub bytes: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Lists all sets, and whether they are present under `root`.
pub fn catalogue(root: &Path) -> Vec<Entry> {
    let images = SPECS.iter().map(|spec| Entry {
        name: spec.name,
        description: spec.description,
        licence: spec.licence,
        shape: spec.shape,
        columns: 0,
        classes: spec.class_names.len(),
        train: spec.train,
        test: spec.test,
        embedded: !matches!(spec.home, Home::Files { .. }),
        present: match &spec.home {
            Home::Embedded(_) | Home::Noise => true,
            Home::Files { files, .. } => files.iter().all(|file| file.is_in(&root.join(spec.name))),
        },
        bytes: match &spec.home {
            Home::Embedded(files) => files.iter().map(|(_, bytes)| bytes.len() as u64).sum(),
            Home::Noise => 0,
            Home::Files { files, .. } => files.iter().map(|file| file.bytes).sum(),
        },
    });
    images.chain([flights()]).collect()
}

/// The embedded table.
fn flights() -> Entry {
    Entry {
        name: table::EMBEDDED,
        description: "Flights from New York in 2013, with the weather at departure: do they arrive 15 minutes late?",
        licence: "CC0",
        shape: [1, 1, 12],
        columns: 12,
        classes: 2,
        train: 14_000,
        test: 4_000,
        embedded: true,
        present: true,
        bytes: table::embedded_bytes(),
    }
}

/// Everything about one set that does not depend on the machine.
pub(super) struct Spec {
    pub name: &'static str,
    pub description: &'static str,
    pub licence: &'static str,
    pub shape: [usize; 3],
    pub class_names: &'static [&'static str],
    pub train: usize,
    pub test: usize,
    pub mean: &'static [f32],
    pub std: &'static [f32],
    pub home: Home,
}

/// Where a set lives.
pub(super) enum Home {
    /// In the program: name and bytes of the IDX files, in the order of `TRAIN_IMAGES` … `TEST_LABELS`.
    Embedded([(&'static str, &'static [u8]); 4]),
    /// Nowhere: its images are made when it is opened.
    Noise,
    /// In a folder with the name of the set.
    Files { layout: Layout, files: &'static [FileSpec], origins: &'static [Origin] },
}

/// How to read the files of a set.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    /// Training images, training labels, test images, test labels.
    Idx,
    /// Some files of training records, then one of test records.
    Cifar(cifar::Form),
}

/// One file of a set.
pub(super) struct FileSpec {
    pub name: &'static str,
    pub bytes: u64,
    /// None where nobody who wrote this table had the file at hand: then its length, its form and its origin's TLS have
    /// to do.
    pub sha256: Option<&'static str>,
}

impl FileSpec {
    /// Where the file is in `folder`, as itself or gzipped.
    pub fn path_in(&self, folder: &Path) -> Option<PathBuf> {
        let gzipped = format!("{}.gz", self.name);
        [self.name, &gzipped].map(|name| folder.join(name)).into_iter().find(|path| path.is_file())
    }

    /// Whether the file is in `folder` and not obviously cut short.
    fn is_in(&self, folder: &Path) -> bool {
        self.path_in(folder).is_some_and(|path| {
            // The length of a gzipped file says nothing.
            path.extension().is_some_and(|ending| ending == "gz")
                || path.metadata().is_ok_and(|meta| meta.len() == self.bytes)
        })
    }
}

/// One place that a set can be brought from.
pub(super) struct Origin {
    /// What to call it in messages.
    pub label: &'static str,
    /// How to get there.
    pub client: Client,
    /// For each file of the set, in order, what it is made from: a path below the base or inside the archive.
    pub members: &'static [&'static str],
    /// What else inside the archive is needed for that.
    pub extra: &'static [&'static str],
    /// How many bytes come over the wire.
    pub bytes: u64,
}

/// The program that brings the bytes. All are ordinary clients that do their own authentication and caching.
pub(super) enum Client {
    /// `curl`, one file at a time.
    Curl { base: &'static str },
    /// `curl` for an archive, `tar` to unpack it.
    CurlTar { url: &'static str },
    /// `npm pack`, `tar` to unpack it.
    Npm { package: &'static str },
    /// `apt-get download`, `dpkg-deb` to unpack it.
    Apt { package: &'static str },
}

/// Why a set that people look for is not there, and what to do.
pub fn absent(name: &str) -> Option<&'static str> {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    Some(match plain.as_str() {
        "imagenet" | "imagenet1k" | "ilsvrc2012" => {
            "ImageNet is not in the catalogue: its images may not be passed on. If you have it as a folder of images per \
             class, name its path, with `size = 224` (docs/data.md). `synthetic-imagenet` is noise of its shape, for memory \
             and time"
        }
        _ => return None,
    })
}

/// The set called `name`.
pub(super) fn find(name: &str) -> Result<&'static Spec, DataError> {
    SPECS.iter().find(|spec| spec.name == name).ok_or_else(|| DataError::Unknown {
        name: name.to_owned(),
        known: SPECS.iter().map(|spec| spec.name).collect::<Vec<_>>().join(", "),
    })
}
