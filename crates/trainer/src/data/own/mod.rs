//! Sets of the user's own: a folder of images per class, a NumPy archive, Parquet files of a hub.
//!
//! ```text
//! path ─▶ what is there? ─┬─▶ folder   images to be decoded ─┐
//!                         ├─▶ parquet  images to be decoded ─┼─▶ one shape, mean and deviation ─▶ Dataset
//!                         └─▶ npz      pixels ───────────────┘
//! ```
//!
//! Where there is no test part, a fifth is held out as one for training, always the same; an evaluation takes all.

mod folder;
mod npz;
#[cfg(feature = "parquet")]
mod parquet;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::pixels::Encoded;
use super::{Account, DataError, Dataset, Split};

/// Images from which mean and deviation of encoded sets are taken: a few seconds of decoding, and enough.
const MEASURED: usize = 256;

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
}

/// Whether a config means a file or folder by this, and not a set of the catalogue.
pub fn is_path(set: &str) -> bool {
    set.contains(std::path::is_separator) || ["npz", "parquet"].iter().any(|ending| has_ending(Path::new(set), ending))
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
    Err(own(path, "it is neither a folder nor a .npz or .parquet file"))
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

/// A set of encoded images.
fn encoded(
    path: &Path,
    class_names: Vec<String>,
    train: Part,
    test: Option<Part>,
    frame: Frame,
    purpose: Purpose,
) -> Result<Dataset, DataError> {
    let [height, width] = match frame.size {
        Some(size) => size,
        None => common_size(train.images.iter().chain(test.iter().flat_map(|part| &part.images)), frame.orientation)?,
    };
    let shape = [if frame.grey { 1 } else { 3 }, height, width];
    let split = |part: Part| Split::encoded(shape, class_names.len(), part.images, part.labels, frame.orientation);
    let (train, test) = (split(train)?, test.map(split).transpose()?);
    dataset(path, class_names, train, test, purpose)
}

/// The one size of all images, from their headers.
fn common_size<'a>(
    images: impl Iterator<Item = &'a Encoded>,
    orientation: Orientation,
) -> Result<[usize; 2], DataError> {
    let mut first: Option<(&Encoded, [usize; 2])> = None;
    for image in images {
        let size = image.size(orientation)?;
        match first {
            None => first = Some((image, size)),
            Some((_, found)) if found == size => {}
            Some((other, [h, w])) => {
                return Err(DataError::Invalid(format!(
                    "the images have different sizes: {} is {h}×{w}, {} is {}×{}; give the size that all are brought \
                     to, for example `size = 224` in `[data]`",
                    other.name(),
                    image.name(),
                    size[0],
                    size[1],
                )));
            }
        }
    }
    Ok(first.expect("a part has images").1)
}

/// Puts a set together; without a test part, a fifth becomes one, or all where nothing is to be learned.
fn dataset(
    path: &Path,
    class_names: Vec<String>,
    train: Split,
    test: Option<Split>,
    purpose: Purpose,
) -> Result<Dataset, DataError> {
    let (train, test, origin) = match (test, purpose) {
        (Some(test), _) => (train, test, "the set's own"),
        (None, Purpose::Train) => {
            let (test, train) = train.divide(train.len() / 5, 0);
            (train, test, "a fifth of all")
        }
        (None, Purpose::Evaluate) => (train.none(), train, "all samples, as the set has no test part"),
    };
    // A set may be there to evaluate nets by alone.
    if test.is_empty() {
        return Err(own(path, "there are too few samples to train and to test"));
    }
    let name = path.file_stem().map_or("data".into(), |stem| stem.to_string_lossy().into_owned());
    let set = Dataset::new(name, class_names, train, test)?;
    Ok(Dataset { account: Account { test: origin.to_owned(), ..Account::default() }, ..set })
}

/// Mean and deviation of `x / 255` for each channel: over all images, or over some that are spread evenly where each has
/// to be decoded.
pub(super) fn measured(split: &Split) -> Result<(Vec<f32>, Vec<f32>), DataError> {
    let step = if split.is_encoded() { split.len().div_ceil(MEASURED) } else { 1 };
    let [channels, height, width] = split.shape();
    let (mut sums, mut squares, mut count) = (vec![0u64; channels], vec![0u64; channels], 0u64);
    for index in (0..split.len()).step_by(step) {
        let image = split.image(index)?;
        for (channel, plane) in image.chunks_exact(height * width).enumerate() {
            sums[channel] += plane.iter().map(|&byte| u64::from(byte)).sum::<u64>();
            squares[channel] += plane.iter().map(|&byte| u64::from(byte).pow(2)).sum::<u64>();
        }
        count += (height * width) as u64;
    }
    let of = |sum: u64, squares: u64| {
        let mean = sum as f64 / count as f64 / 255.0;
        let variance = squares as f64 / count as f64 / 255f64.powi(2) - mean * mean;
        // Images without any contrast must not divide by zero: one step of a byte.
        (mean as f32, variance.max(0.0).sqrt().max(1.0 / 255.0) as f32)
    };
    Ok(sums.into_iter().zip(squares).map(|(sum, squares)| of(sum, squares)).unzip())
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

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().and_then(OsStr::to_str).is_some_and(|found| found.eq_ignore_ascii_case(ending))
}

/// An error about a file or folder.
fn own(path: &Path, what: impl Into<String>) -> DataError {
    DataError::Own { path: path.to_path_buf(), what: what.into() }
}

#[cfg(test)]
mod tests;
