//! Sets of samples, labelled images and rows of tables, from where they are published to batches of named arrays.
//!
//! ```text
//! catalogue ─▶ get ─▶ files on disk ─▶ open ──┐           ┌─ Sampler: which samples make a batch
//! (sets)      (origin or   (or in the   (idx,   ├─▶ Dataset ─▶ Loader ─▶ Epoch ─▶ Batch
//!              package)     program)     cifar)  │   Splits  └─ ArraySource: samples   worker   named arrays
//! files of the user's own ─────▶ open_own, table ┘              as named arrays       threads  and a mask
//!                (folder, npz, parquet; csv)
//! ```
//!
//! - [`catalogue()`] lists what there is; [`get()`] brings a set to this machine; [`open`] reads it into memory.
//! - [`open_own`] opens a folder of images per class, a NumPy archive or Parquet files.
//! - [`table`] reads rows of numbers and categories, from CSV or Parquet.
//! - [`Split::of`] takes anything that implements [`Samples`], [`Loader::of`] any [`ArraySource`] and any [`Sampler`].
//! - A [`Loader`] hands out the batches of an epoch. Which sample comes when, and what [`Augment`] does to it, depends on
//!   seed and epoch alone.
//! - Files are untrusted: a truncated, corrupt or lying one is a [`DataError`] that names file and byte, never a panic
//!   and never an allocation larger than the set is known to be.
//!
//! ```
//! use frugal_data::{Loader, LoaderOptions};
//!
//! let set = frugal_data::open("fashion-mnist-small", &frugal_data::default_root())?;
//! let loader = Loader::new(set.train.clone(), LoaderOptions::evaluate(&set, 64).shuffled(1))?;
//! let batch = loader.epoch(0).next().expect("an epoch has batches")?;
//! assert_eq!(batch.u8s(frugal_data::IMAGES).len(), 64 * 28 * 28);
//! # Ok::<(), frugal_data::DataError>(())
//! ```
//!
//! `examples/custom_data.rs` trains on a custom set.

mod account;
mod arrays;
mod augment;
mod batch;
mod catalogue;
pub mod check;
pub mod cifar;
mod dataset;
mod draw;
mod error;
mod fingerprint;
mod get;
pub mod guard;
pub mod idx;
mod images;
pub mod input;
mod loader;
mod look;
mod noise;
pub mod order;
mod own;
mod pixels;
mod sampler;
mod samples;
mod sets;
mod source;
pub mod table;

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use account::{Account, Composition, PartCounts};
pub use arrays::{
    Array, ArraySource, ArraySpec, CATEGORIES, Chunk, ElementType, Elements, IMAGES, LABELS, MASK, NUMBERS, TARGETS,
};
pub use augment::{Augment, Jitter, ResizedCrop};
pub use batch::Batch;
pub use catalogue::{Entry, absent, catalogue};
pub use dataset::{Dataset, Share, Split};
pub use error::DataError;
pub use fingerprint::{Fingerprint, PartFingerprint};
pub use get::{Got, Progress, get};
pub use loader::{Epoch, Goal, Loader, LoaderOptions, Pixels};
pub use own::{Frame, Orientation, Purpose, is_path, open as open_own, pictures_in};
pub use sampler::{EachOnce, EpochPlan, Sampler};
pub use samples::Samples;

use catalogue::{FileSpec, Home, Layout, Spec};

/// Where sets are kept unless the user says otherwise: `$FRUGAL_DATA`, else `frugal/data` in the user's cache folder
/// (`$XDG_CACHE_HOME`, else `~/.cache`).
pub fn default_root() -> PathBuf {
    root_from(|name| std::env::var_os(name), std::env::home_dir())
}

fn root_from(variable: impl Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> PathBuf {
    let path = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(root) = path("FRUGAL_DATA") {
        return root;
    }
    let cache = path("XDG_CACHE_HOME")
        // The XDG specification has relative paths ignored.
        .filter(|cache| cache.is_absolute())
        .or_else(|| home.map(|home| home.join(".cache")));
    match cache {
        Some(cache) => cache.join("frugal").join("data"),
        // No home at all (a bare container): beside the work, where it is at least seen.
        None => PathBuf::from("frugal-data"),
    }
}

/// Reads the set called `name` into memory: from the program if it is embedded, else from the folder of that name under
/// `root`.
pub fn open(name: &str, root: &Path) -> Result<Dataset, DataError> {
    if name == table::EMBEDDED {
        return table::open_embedded(&table::embedded_options(table::TableOptions::default()));
    }
    let spec = catalogue::find(name)?;
    let (train, test) = match &spec.home {
        Home::Embedded(files) => {
            let [train_images, train_labels, test_images, test_labels] = *files;
            (
                read_idx(spec, train_images, train_labels, spec.train)?,
                read_idx(spec, test_images, test_labels, spec.test)?,
            )
        }
        Home::Noise => (noise::split(spec, spec.train, 1)?, noise::split(spec, spec.test, 2)?),
        Home::Files { layout, files, .. } => {
            let folder = root.join(name);
            let paths = locate(name, &folder, files)?;
            match (layout, paths.as_slice()) {
                (Layout::Idx, [train_images, train_labels, test_images, test_labels]) => (
                    read_idx(spec, opened(train_images)?, opened(train_labels)?, spec.train)?,
                    read_idx(spec, opened(test_images)?, opened(test_labels)?, spec.test)?,
                ),
                (Layout::Cifar(form), [train @ .., test]) => {
                    let test = std::slice::from_ref(test);
                    (read_cifar(spec, *form, train, spec.train)?, read_cifar(spec, *form, test, spec.test)?)
                }
                _ => unreachable!("the table of sets is checked by a test"),
            }
        }
    };
    Ok(Dataset {
        name: spec.name.to_owned(),
        shape: spec.shape,
        schema: None,
        classes: spec.class_names.len(),
        class_names: spec.class_names.iter().map(|&name| name.to_owned()).collect(),
        numbered: false,
        mean: spec.mean.to_vec(),
        std: spec.std.to_vec(),
        train: Arc::new(train),
        validation: None,
        test: Arc::new(test),
        account: Account { test: "the set's own".to_owned(), ..Account::default() },
    })
}

/// Finds the files of a set, each as itself or gzipped.
fn locate(name: &str, folder: &Path, files: &[FileSpec]) -> Result<Vec<PathBuf>, DataError> {
    let (mut paths, mut missing) = (Vec::new(), Vec::new());
    for file in files {
        match file.path_in(folder) {
            Some(path) => paths.push(path),
            None => missing.push(file.name.to_owned()),
        }
    }
    if missing.is_empty() {
        return Ok(paths);
    }
    Err(DataError::Missing { name: name.to_owned(), folder: folder.to_path_buf(), missing })
}

/// A file and its name for messages.
fn opened(path: &Path) -> Result<(String, File), DataError> {
    let file = crate::input::open(path).map_err(DataError::io("open", path))?;
    Ok((path.display().to_string(), file))
}

fn read_idx(
    spec: &Spec,
    images: (impl AsRef<str>, impl Read),
    labels: (impl AsRef<str>, impl Read),
    count: usize,
) -> Result<Split, DataError> {
    let images = (images.0.as_ref(), images.1);
    let labels = (labels.0.as_ref(), labels.1);
    idx::read_split(images, labels, count, spec.shape, spec.class_names.len())
}

fn read_cifar(spec: &Spec, form: cifar::Form, paths: &[PathBuf], count: usize) -> Result<Split, DataError> {
    // The count is the catalogue's and not the file's, so it may be trusted with an allocation.
    let mut images = Vec::with_capacity(count * cifar::PIXELS);
    let mut labels = Vec::with_capacity(count);
    for path in paths {
        let (name, file) = opened(path)?;
        cifar::read(form, &name, file, count / paths.len(), &mut images, &mut labels)?;
    }
    Split::new(spec.shape, form.classes(), images, labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_follows_the_environment() {
        let root = |set: &[(&str, &str)], home: Option<&str>| {
            let find = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
            root_from(find, home.map(PathBuf::from))
        };
        let all = [("FRUGAL_DATA", "/d"), ("XDG_CACHE_HOME", "/x")];
        assert_eq!(root(&all, Some("/h")), Path::new("/d"));
        assert_eq!(root(&all[1..], Some("/h")), Path::new("/x/frugal/data"));
        assert_eq!(root(&[("XDG_CACHE_HOME", "x")], Some("/h")), Path::new("/h/.cache/frugal/data"));
        assert_eq!(root(&[("FRUGAL_DATA", "")], Some("/h")), Path::new("/h/.cache/frugal/data"));
        assert_eq!(root(&[], None), Path::new("frugal-data"));
    }

    #[test]
    fn the_table_of_sets_is_consistent() {
        for spec in sets::SPECS {
            assert_eq!(spec.mean.len(), spec.shape[0], "{}", spec.name);
            assert_eq!(spec.std.len(), spec.shape[0], "{}", spec.name);
            let Home::Files { layout, files, origins } = &spec.home else {
                continue;
            };
            match layout {
                Layout::Idx => assert_eq!(files.len(), 4, "{}", spec.name),
                Layout::Cifar(form) => {
                    assert_eq!(form.classes(), spec.class_names.len(), "{}", spec.name);
                    let bytes = |files: &[FileSpec]| files.iter().map(|file| file.bytes).sum::<u64>();
                    let (test, train) = files.split_last().expect("files");
                    assert_eq!(bytes(train), (spec.train * form.record()) as u64, "{}", spec.name);
                    assert_eq!(test.bytes, (spec.test * form.record()) as u64, "{}", spec.name);
                }
            }
            assert!(!origins.is_empty());
            for origin in *origins {
                assert_eq!(origin.members.len(), files.len(), "{}", origin.label);
            }
        }
    }
}
