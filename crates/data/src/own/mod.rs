//! Sets of the user's own: a folder of images per class, a NumPy archive, Parquet files of a hub.
//!
//! ```text
//! path ─▶ what is there? ─┬─▶ folder   images to be decoded ─┐
//!                         ├─▶ parquet  images to be decoded ─┼─▶ one shape, mean and deviation ─▶ Dataset
//!                         └─▶ npz      pixels ───────────────┘
//! ```
//!
//! Each format finds parts and names of classes ([`Found`]); what is evaluated of them is decided in one place ([`assemble`]).

mod assemble;
mod folder;
pub(crate) mod names;
mod npy;
mod npz;
#[cfg(feature = "parquet")]
mod parquet;
mod tree;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::look::{Looked, look};
use super::pixels::Encoded;
use super::{Account, DataError, Dataset, Split};
use assemble::assemble;
pub(super) use assemble::measured;
use names::Classes;
use tree::Walk;

/// More classes than any set has; a label beyond it is a mistake, not a class.
const MOST_CLASSES: usize = 1 << 20;

/// The frame that encoded images are brought to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Frame {
    /// Height and width; none if all images have one size already.
    pub size: Option<[usize; 2]>,
    /// Whether colours are dropped.
    pub grey: bool,
    /// Which way up they are taken.
    pub orientation: Orientation,
}

/// Whether pictures are turned as their EXIF says: cameras store pixels as the sensor gives them, and how it was held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Orientation {
    /// As people see them.
    #[default]
    Exif,
    /// As they are stored.
    Ignore,
}

/// What a set is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A net learns from it: of a set without a test part, a fifth is held out as one.
    Train,
    /// A net that learned from another set is evaluated on it: of a set without a test part, all samples are the test part and
    /// none are left for training.
    ///
    /// The set that a net learned from is opened with [`Purpose::Train`], so that the samples that it was trained on are not
    /// counted among those that it is evaluated on.
    Evaluate,
    /// All samples are read, and each that is bad is wanted: pictures are not looked at when the set is opened, mean and deviation
    /// are not measured, and nothing is held out.
    Check,
}

/// Whether a config means a file or folder by this, and not a set of the catalogue.
pub fn is_path(set: &str) -> bool {
    set.contains(std::path::is_separator)
        || ["npz", "parquet"].iter().any(|ending| has_ending(Path::new(set), ending))
        || crate::table::is_table(Path::new(set))
}

/// Opens a folder of images per class, a NumPy archive (`.npz`), or a Parquet file or a folder of them.
///
/// # Errors
/// [`DataError::Own`], [`DataError::Image`] or [`DataError::Io`], with the file or folder that cannot be used.
pub fn open(path: &Path, frame: Frame, purpose: Purpose) -> Result<Dataset, DataError> {
    if path.is_dir() {
        let data = path.join("data");
        for folder in [path, &data] {
            let files = listed(folder, |file| has_ending(file, "parquet")).unwrap_or_default();
            if !files.is_empty() {
                return parquet::open(path, &files, frame, purpose);
            }
        }
        return folder::open(path, frame, purpose);
    }
    if !path.exists() {
        return Err(own(path, "there is no such file or folder"));
    }
    if has_ending(path, "parquet") {
        return parquet::open(path, &[path.to_path_buf()], frame, purpose);
    }
    if has_ending(path, "npz") {
        return npz::open(path, purpose);
    }
    if crate::table::is_table(path) {
        let what = "it is a table: a config says which of its columns is predicted, with `target` in [data]; \
                    `frugal data check CONFIG` checks it";
        return Err(own(path, what));
    }
    Err(own(path, "it is neither a folder nor a .npz, .parquet or .csv file"))
}

/// What a program says that was built without Parquet.
#[cfg(not(feature = "parquet"))]
mod parquet {
    use super::{DataError, Dataset, Frame, Path, PathBuf, Purpose, own};

    pub(super) fn open(root: &Path, _: &[PathBuf], _: Frame, _: Purpose) -> Result<Dataset, DataError> {
        let what = "this program was built without Parquet, which takes long to build; \
                    `cargo build --release --features parquet` builds it with Parquet";
        Err(own(root, what))
    }
}

/// Images and labels of one purpose.
#[derive(Default)]
struct Part {
    images: Vec<Encoded>,
    labels: Vec<u32>,
}

/// What a format finds in files.
struct Found<P> {
    classes: Classes,
    train: Option<P>,
    validation: Option<HeldOut<P>>,
    test: Option<HeldOut<P>>,
    /// What was left out, and what is unusual.
    account: Account,
}

/// A part that is not learned from.
struct HeldOut<P> {
    samples: P,
    /// Where it was found, for example `val/`.
    origin: String,
}

impl<P> Found<P> {
    /// The parts in another form.
    fn map<Q>(self, mut f: impl FnMut(P) -> Result<Q, DataError>) -> Result<Found<Q>, DataError> {
        let Found { classes, train, validation, test, account } = self;
        let train = train.map(&mut f).transpose()?;
        let mut held_out = |part: Option<HeldOut<P>>| {
            part.map(|HeldOut { samples, origin }| Ok(HeldOut { samples: f(samples)?, origin })).transpose()
        };
        Ok(Found { classes, train, validation: held_out(validation)?, test: held_out(test)?, account })
    }

    /// The parts that there are.
    fn parts(&self) -> impl Iterator<Item = &P> {
        let held_out = [&self.validation, &self.test].into_iter().flatten().map(|part| &part.samples);
        self.train.iter().chain(held_out)
    }
}

/// A set of encoded images.
fn encoded(path: &Path, found: Found<Part>, frame: Frame, purpose: Purpose) -> Result<Dataset, DataError> {
    let images: Vec<&Encoded> = found.parts().flat_map(|part| &part.images).collect();
    if images.is_empty() {
        return Err(own(path, "there is no picture in it"));
    }
    let looked = if purpose == Purpose::Check { Vec::new() } else { look(path, &images, frame.orientation)? };
    let [height, width] = match frame.size {
        Some(size) => size,
        None => common_size(&images, &looked)?,
    };
    let shape = [if frame.grey { 1 } else { 3 }, height, width];
    let classes = found.classes.len();
    // In the order of the parts.
    let mut digests = looked.iter().map(|looked| looked.digest);
    let split = |Part { images, labels }: Part| {
        let digests = digests.by_ref().take(labels.len()).collect();
        Split::encoded(shape, classes, images, digests, labels, frame.orientation)
    };
    assemble(path, found.map(split)?, purpose)
}

/// The one size of all images; a single pixel if they were not looked at.
fn common_size(images: &[&Encoded], looked: &[Looked]) -> Result<[usize; 2], DataError> {
    let Some(&Looked { size: [height, width], .. }) = looked.first() else { return Ok([1, 1]) };
    match looked.iter().position(|looked| looked.size != [height, width]) {
        None => Ok([height, width]),
        Some(other) => Err(DataError::Invalid(format!(
            "the images have different sizes: {} is {height}×{width}, {} is {}×{}; give the size that all are brought \
             to, for example `size = 224` in `[data]`",
            images[0].name(),
            images[other].name(),
            looked[other].size[0],
            looked[other].size[1],
        ))),
    }
}

/// What is in a folder and fits, by name: file systems list in any order.
fn listed(folder: &Path, fits: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>, DataError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(DataError::io("list", folder))? {
        let path = entry.map_err(DataError::io("list", folder))?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && fits(&path) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// All pictures in a folder, in the order of their names, and then those of the folders in it.
///
/// # Errors
/// [`DataError::Own`] if there is none, [`DataError::Io`].
pub fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let pictures = Walk::default().pictures(folder)?;
    if pictures.is_empty() { Err(own(folder, "there is no picture in it")) } else { Ok(pictures) }
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().and_then(OsStr::to_str).is_some_and(|found| found.eq_ignore_ascii_case(ending))
}

/// An error about a file or folder.
fn own(path: &Path, what: impl Into<String>) -> DataError {
    DataError::Own { path: path.to_path_buf(), what: what.into() }
}

#[cfg(test)]
mod tests;
