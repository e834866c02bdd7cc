//! NumPy archives: a zip of arrays, as `np.savez` and `np.savez_compressed` write it.
//!
//! ```text
//! x_train  y_train  x_test  y_test                          as Keras names them
//! train_images  train_labels  test_images  test_labels      as MedMNIST does
//! images  labels                                            without a test part
//! ```
//!
//! Images are unsigned bytes, N×H×W, N×H×W×C or N×C×H×W with 1 or 3 channels; labels are whole numbers, N or N×1. Where the
//! second array has images of the first one's shape, samples are pairs: what is seen, and what is to be made of it.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::ZipArchive;

use super::{Purpose, dataset, own};
use crate::data::{DataError, Dataset, Split};

/// Images and labels of the training part and of the test part.
const NAMES: &[([&str; 2], Option<[&str; 2]>)] = &[
    (["x_train", "y_train"], Some(["x_test", "y_test"])),
    (["train_images", "train_labels"], Some(["test_images", "test_labels"])),
    (["images", "labels"], None),
];
/// More classes than any set has; a label beyond it is a mistake, not a class.
const MOST_CLASSES: usize = 1 << 20;

type Archive = ZipArchive<BufReader<File>>;

/// An array as it is in the file.
struct Array {
    name: &'static str,
    /// `|u1`, `<i8` …
    kind: String,
    dims: Vec<usize>,
    bytes: Vec<u8>,
}

pub(super) fn open(path: &Path, purpose: Purpose) -> Result<Dataset, DataError> {
    let file = crate::input::open(path).map_err(DataError::io("open", path))?;
    let mut archive =
        ZipArchive::new(BufReader::new(file)).map_err(|error| own(path, format!("it is not a .npz file: {error}")))?;
    let mut found: Vec<String> =
        archive.file_names().flatten().filter_map(|name| Some(name.strip_suffix(".npy")?.to_owned())).collect();
    found.sort_unstable();
    let has = |array: &str| found.iter().any(|name| name == array);
    let Some((train, test)) = NAMES.iter().find(|(train, _)| train.iter().all(|name| has(name))) else {
        let what = format!(
            "it needs the arrays x_train and y_train, or train_images and train_labels, or images and labels; there \
             are: {}",
            found.join(", ")
        );
        return Err(own(path, what));
    };
    let test = test.filter(|test| test.iter().all(|name| has(name)));
    let (train_shape, train_pixels, train_answers) = part(path, &mut archive, *train)?;
    let test = test.map(|names| part(path, &mut archive, names)).transpose()?;
    let paired = |answers: &Answers| matches!(answers, Answers::Images(_));
    if test.as_ref().is_some_and(|(.., answers)| paired(answers) != paired(&train_answers)) {
        return Err(own(path, "one of training and test part has pairs of images, the other one labels"));
    }
    let classes = match &train_answers {
        Answers::Labels(labels) => labels.iter().max().map_or(0, |&most| most as usize + 1),
        Answers::Images(_) => 1,
    };
    let split = |shape, pixels, answers| match answers {
        Answers::Labels(labels) => Split::new(shape, classes, pixels, labels),
        Answers::Images(targets) => Split::pairs(shape, pixels, targets),
    };
    let train_split = split(train_shape, train_pixels, train_answers)?;
    let test_split = test.map(|(shape, pixels, answers)| {
        if shape != train_shape {
            return Err(own(path, format!("test images are {shape:?}, training images {train_shape:?}")));
        }
        // A class that was never learned.
        split(shape, pixels, answers).map_err(|error| own(path, format!("in the test part, {error}")))
    });
    let names = (0..classes).map(|class| class.to_string()).collect();
    dataset(path, names, train_split, test_split.transpose()?, purpose)
}

/// What belongs to the images.
enum Answers {
    Labels(Vec<u32>),
    Images(Vec<u8>),
}

/// Shape of an image, pixels, and what belongs to them.
type Part = ([usize; 3], Vec<u8>, Answers);

fn part(path: &Path, archive: &mut Archive, [images, labels]: [&'static str; 2]) -> Result<Part, DataError> {
    let (images, labels) = (read(path, archive, images)?, read(path, archive, labels)?);
    let (shape, pixels) = planes(path, images)?;
    let name = labels.name;
    if labels.dims.len() > 2 {
        let (other, targets) = planes(path, labels)?;
        if (other, targets.len()) != (shape, pixels.len()) {
            return Err(own(path, format!("pairs of images must have one shape, and `{name}` has another")));
        }
        return Ok((shape, pixels, Answers::Images(targets)));
    }
    let labels = numbers(path, labels)?;
    let count = pixels.len() / shape.iter().product::<usize>();
    if labels.len() != count {
        return Err(own(path, format!("`{name}` has {} labels for {count} images", labels.len())));
    }
    Ok((shape, pixels, Answers::Labels(labels)))
}

/// Reads an array; memory is taken only for bytes that really come.
fn read(path: &Path, archive: &mut Archive, name: &'static str) -> Result<Array, DataError> {
    let broken = |what: String| own(path, format!("`{name}` cannot be read: {what}"));
    let entry = archive.by_name(&format!("{name}.npy")).map_err(|error| broken(error.to_string()))?;
    let array = npyz::NpyFile::new(entry).map_err(|error| broken(error.to_string()))?;
    let kind = array.dtype().descr().trim_matches('\'').to_owned();
    if array.order() != npyz::Order::C {
        return Err(broken("its values stand column by column; save np.ascontiguousarray(…) of it".to_owned()));
    }
    let dims: Vec<usize> = array.shape().iter().map(|&extent| extent as usize).collect();
    let size = kind.get(2..).and_then(|digits| digits.parse::<usize>().ok());
    let expected = size.and_then(|size| dims.iter().try_fold(size, |count, &extent| count.checked_mul(extent)));
    let expected = expected.ok_or_else(|| broken(format!("{dims:?} values of type {kind} are none that are known")))?;
    let mut bytes = Vec::new();
    array.into_inner().take(expected as u64).read_to_end(&mut bytes).map_err(|error| broken(error.to_string()))?;
    if bytes.len() < expected {
        return Err(broken(format!("it ends after {} of {expected} bytes", bytes.len())));
    }
    Ok(Array { name, kind, dims, bytes })
}

/// Images plane by plane.
fn planes(path: &Path, array: Array) -> Result<([usize; 3], Vec<u8>), DataError> {
    let Array { name, kind, dims, bytes } = array;
    if kind != "|u1" {
        let what = format!(
            "`{name}` has values of type {kind}; images must be unsigned bytes, for example (255 * x).astype('uint8')"
        );
        return Err(own(path, what));
    }
    if bytes.is_empty() {
        return Err(own(path, format!("`{name}` is empty")));
    }
    match dims[..] {
        [_, height, width] => Ok(([1, height, width], bytes)),
        [_, height, width, channels @ (1 | 3)] => {
            let plane = height * width;
            let images = bytes.chunks_exact(plane * channels);
            let pixels = images.flat_map(|image| {
                (0..channels).flat_map(move |channel| image.iter().skip(channel).step_by(channels).copied())
            });
            Ok(([channels, height, width], pixels.collect()))
        }
        [_, channels @ (1 | 3), height, width] => Ok(([channels, height, width], bytes)),
        _ => Err(own(path, format!("`{name}` is {dims:?}; images are N×H×W, N×H×W×C or N×C×H×W with C = 1 or 3"))),
    }
}

/// Labels of any integer type.
fn numbers(path: &Path, array: Array) -> Result<Vec<u32>, DataError> {
    let Array { name, kind, dims, bytes } = array;
    if !matches!(dims[..], [_] | [_, 1]) {
        return Err(own(path, format!("`{name}` is {dims:?}; labels are N or N×1 numbers of classes")));
    }
    let order = kind.as_bytes()[0];
    let size = match &kind[1..] {
        "u1" | "i1" => 1,
        "u2" | "i2" => 2,
        "u4" | "i4" => 4,
        "u8" | "i8" => 8,
        _ => return Err(own(path, format!("`{name}` has values of type {kind}; labels must be whole numbers"))),
    };
    let signed = kind[1..].starts_with('i');
    let number = |bytes: &[u8]| -> i128 {
        let mut word = [0; 8];
        word[..size].copy_from_slice(bytes);
        if order == b'>' {
            word[..size].reverse();
        }
        // Shifted up and down again, so that the sign reaches all bits.
        let (word, unused) = (u64::from_le_bytes(word), 64 - 8 * size as u32);
        if signed { ((word << unused) as i64 >> unused).into() } else { word.into() }
    };
    let label = |(at, bytes): (usize, &[u8])| {
        let number = number(bytes);
        let fits = usize::try_from(number).is_ok_and(|label| label < MOST_CLASSES);
        if fits {
            Ok(number as u32)
        } else {
            Err(own(path, format!("`{name}` has {number} as the label of sample {at}")))
        }
    };
    bytes.chunks_exact(size).enumerate().map(label).collect()
}
