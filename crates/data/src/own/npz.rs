//! NumPy archives: a zip of arrays, as `np.savez` and `np.savez_compressed` write it.
//!
//! ```text
//! x_train  y_train   x_val  y_val   x_test  y_test                                  as Keras names them
//! train_images  train_labels   val_images  val_labels   test_images  test_labels    as MedMNIST does
//! images  labels                                                                    without parts
//! ```
//!
//! Images are whole numbers from 0 to 255 of any type, N×H×W, N×H×W×C or N×C×H×W with 1 or 3 channels; labels are whole numbers, N
//! or N×1. Where the second array has images of the first one's shape, samples are pairs: what is seen, and what is to be made of it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use zip::ZipArchive;

use super::names::{Classes, shortened};
use super::npy::Array;
use super::{Found, HeldOut, Purpose, assemble, own};
use crate::{Account, DataError, Dataset, Split};

/// Images and labels of a part.
type Names = [&'static str; 2];

/// What arrays are called.
struct Naming {
    train: Names,
    /// Any one of them.
    validation: &'static [Names],
    test: &'static [Names],
}

const NAMINGS: &[Naming] = &[
    Naming {
        train: ["x_train", "y_train"],
        validation: &[["x_val", "y_val"], ["x_valid", "y_valid"], ["x_validation", "y_validation"]],
        test: &[["x_test", "y_test"]],
    },
    Naming {
        train: ["train_images", "train_labels"],
        validation: &[
            ["val_images", "val_labels"],
            ["valid_images", "valid_labels"],
            ["validation_images", "validation_labels"],
        ],
        test: &[["test_images", "test_labels"]],
    },
    Naming { train: ["images", "labels"], validation: &[], test: &[] },
];

/// A file that is open.
struct Archive<'a> {
    path: &'a Path,
    zip: ZipArchive<BufReader<File>>,
    bytes: u64,
    /// The arrays that were not read yet.
    left: BTreeSet<String>,
}

/// Samples of a part, whose labels are not checked against the number of classes yet.
struct Samples {
    shape: [usize; 3],
    pixels: Vec<u8>,
    answers: Answers,
}

/// What belongs to the images.
enum Answers {
    Labels(Vec<u32>),
    Images(Vec<u8>),
}

pub(super) fn open(path: &Path, purpose: Purpose) -> Result<Dataset, DataError> {
    let file = crate::input::open(path).map_err(DataError::io("open", path))?;
    let bytes = file.metadata().map_err(DataError::io("open", path))?.len();
    let zip =
        ZipArchive::new(BufReader::new(file)).map_err(|error| own(path, format!("it is not a .npz file: {error}")))?;
    let left = zip.file_names().flatten().map(|name| name.strip_suffix(".npy").unwrap_or(&name).to_owned()).collect();
    let mut archive = Archive { path, zip, bytes, left };
    let is_there = |names: &Names| archive.has(names[0]) && archive.has(names[1]);
    let Some(naming) = NAMINGS
        .iter()
        .find(|naming| is_there(&naming.train))
        .or_else(|| NAMINGS.iter().find(|naming| naming.test.iter().any(is_there)))
    else {
        let what = format!(
            "it needs the arrays x_train and y_train, or train_images and train_labels, or images and labels; there \
             are: {}",
            shortened(&archive.left.iter().collect::<Vec<_>>())
        );
        return Err(own(path, what));
    };
    let mut account = Account::default();
    let train = match is_there(&naming.train) {
        true => match archive.part(naming.train)? {
            Some(samples) => Some(samples),
            None => return Err(own(path, format!("all labels in `{}` are -1", naming.train[1]))),
        },
        false => None,
    };
    let validation = archive.held_out(naming.validation, &mut account)?;
    let test = archive.held_out(naming.test, &mut account)?;
    if !archive.left.is_empty() {
        let arrays: Vec<&String> = archive.left.iter().collect();
        let word = if arrays.len() == 1 { "the array" } else { "the arrays" };
        account.left_out.push(format!("{word} {}", shortened(&arrays)));
    }
    let found = Found { classes: Classes::numbered(0), train, validation, test, account };
    assemble(path, checked(path, found)?, purpose)
}

/// The parts as splits, which must be of one kind and shape.
fn checked(path: &Path, found: Found<Samples>) -> Result<Found<Split>, DataError> {
    let first = found.parts().next().expect("a naming has a part");
    let classes = match &first.answers {
        Answers::Labels(labels) => labels.iter().max().map_or(0, |&most| most as usize + 1),
        Answers::Images(_) => 1,
    };
    let is_paired = |samples: &Samples| matches!(samples.answers, Answers::Images(_));
    let (shape, paired, learned) = (first.shape, is_paired(first), found.train.is_some());
    for samples in found.parts() {
        if is_paired(samples) != paired {
            return Err(own(path, "one of training and test part has pairs of images, the other one labels"));
        }
        if samples.shape != shape {
            return Err(own(path, format!("test images are {:?}, training images {shape:?}", samples.shape)));
        }
    }
    let mut is_first = learned;
    let found = found.map(|Samples { shape, pixels, answers }| {
        let split = match answers {
            Answers::Labels(labels) => Split::new(shape, classes, pixels, labels),
            Answers::Images(targets) => Split::pairs(shape, pixels, targets),
        };
        // A class that was never learned.
        let place = if std::mem::take(&mut is_first) { "" } else { "in the test part, " };
        split.map_err(|error| own(path, format!("{place}{error}")))
    })?;
    Ok(Found { classes: Classes::numbered(classes), ..found })
}

impl Archive<'_> {
    fn has(&self, array: &str) -> bool {
        self.left.contains(array)
    }

    /// A part that is there by one of these names, with labels that are known.
    fn held_out(&mut self, names: &[Names], account: &mut Account) -> Result<Option<HeldOut<Samples>>, DataError> {
        let found: Vec<Names> = names.iter().copied().filter(|[images, _]| self.has(images)).collect();
        if let [[one, _], [other, _], ..] = found[..] {
            return Err(own(self.path, format!("`{one}` and `{other}` are both the validation part; take one away")));
        }
        let Some([images, labels]) = found.into_iter().next() else { return Ok(None) };
        if !self.has(labels) {
            self.left.remove(images);
            account.left_out.push(format!("{images}, as there is no {labels}"));
            return Ok(None);
        }
        let samples = self.part([images, labels])?;
        if samples.is_none() {
            account.left_out.push(format!("{images}, as all of {labels} are -1"));
        }
        Ok(samples.map(|samples| HeldOut { samples, origin: images.to_owned() }))
    }

    /// The samples of a part; none if its labels are not known.
    fn part(&mut self, [images, labels]: Names) -> Result<Option<Samples>, DataError> {
        let path = self.path;
        let (shape, pixels) = planes(path, images, self.array(images)?.into_bytes()?)?;
        let count = pixels.len() / shape.iter().product::<usize>();
        let answers = self.array(labels)?;
        if answers.dims.len() > 2 {
            let (other, targets) = planes(path, labels, answers.into_bytes()?)?;
            if (other, targets.len()) != (shape, pixels.len()) {
                return Err(own(path, format!("pairs of images must have one shape, and `{labels}` has another")));
            }
            return Ok(Some(Samples { shape, pixels, answers: Answers::Images(targets) }));
        }
        let Some(numbers) = answers.into_labels()? else { return Ok(None) };
        if numbers.len() != count {
            return Err(own(path, format!("`{labels}` has {} labels for {count} images", numbers.len())));
        }
        Ok(Some(Samples { shape, pixels, answers: Answers::Labels(numbers) }))
    }

    fn array<'b>(&'b mut self, name: &'b str) -> Result<Array<'b>, DataError> {
        self.left.remove(name);
        let entry = self.zip.by_name(&format!("{name}.npy"));
        let entry = entry.map_err(|error| own(self.path, format!("`{name}` cannot be read: {error}")))?;
        let packed = entry.compressed_size().min(self.bytes);
        Array::open(self.path, name, packed, entry)
    }
}

/// Images plane by plane.
fn planes(path: &Path, name: &str, (dims, bytes): (Vec<usize>, Vec<u8>)) -> Result<([usize; 3], Vec<u8>), DataError> {
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
