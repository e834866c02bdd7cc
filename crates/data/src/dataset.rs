//! What a data set is once it is open: images and labels, nothing decoded ahead of time.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::pixels::{Encoded, Picture};
use super::samples::{Own, Samples};
use super::table::{Rows, Schema};
use super::{
    Account, Composition, DataError, Fingerprint, Orientation, PartCounts, PartFingerprint, draw, own, pixels,
};

/// A labelled image set, ready to be batched by a [`Loader`](super::Loader).
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The name in the catalogue, or that of the user's file or folder.
    pub name: String,
    /// Channels, height, width of one sample, as the net sees it; of a table 1, 1 and its columns.
    pub shape: [usize; 3],
    /// What the columns mean, if it is a table. Then there are no images.
    pub schema: Option<Arc<Schema>>,
    /// How many classes there are; every label is below it.
    pub classes: usize,
    /// What the classes are called, in the order of the labels.
    pub class_names: Vec<String>,
    /// Whether the set does not name its classes, so that `class_names` are the numbers of the labels.
    pub numbered: bool,
    /// Mean of `x / 255` over the training images, per channel.
    pub mean: Vec<f32>,
    /// Standard deviation of `x / 255` over the training images, per channel.
    pub std: Vec<f32>,
    /// What the net learns from.
    pub train: Arc<Split>,
    /// What the set itself holds out for evaluations during training, if it has such a part.
    pub validation: Option<Arc<Split>>,
    /// What the net is evaluated on in the end.
    pub test: Arc<Split>,
    /// Where the parts come from, and what of the user's files is in none of them.
    pub account: Account,
}

/// How much of the training samples is held out for validation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Share {
    /// A fraction above 0 and below 1.
    Fraction(f64),
    /// So many samples.
    Count(usize),
}

impl Share {
    /// As a number of samples of so many; a fraction is rounded.
    pub fn of(self, samples: usize) -> usize {
        match self {
            Share::Fraction(fraction) => (samples as f64 * fraction).round() as usize,
            Share::Count(count) => count,
        }
    }
}

impl Dataset {
    /// A set from its parts. Mean and deviation are measured on the training images: on all, or, where each has to be read from
    /// somewhere, on 256 of them; without any, on the test images.
    ///
    /// # Errors
    /// [`DataError::Invalid`] if the parts differ in shape or have labels without a name, or what keeps an image from being
    /// read.
    pub fn new(
        name: impl Into<String>,
        class_names: Vec<String>,
        train: Split,
        test: Split,
    ) -> Result<Dataset, DataError> {
        let set = Dataset::unmeasured(name, class_names, train, test)?;
        let (mean, std) = own::measured(if set.train.is_empty() { &set.test } else { &set.train })?;
        Ok(Dataset { mean, std, ..set })
    }

    /// As [`Dataset::new`], with mean 0 and deviation 1, so that no image is read.
    pub(super) fn unmeasured(
        name: impl Into<String>,
        class_names: Vec<String>,
        train: Split,
        test: Split,
    ) -> Result<Dataset, DataError> {
        if train.shape() != test.shape() {
            return Err(DataError::Invalid(format!("images of {:?} and of {:?}", train.shape(), test.shape())));
        }
        // A set may be there to judge nets by alone.
        if train.is_empty() && test.is_empty() {
            return Err(DataError::Invalid("there is nothing to learn from".to_owned()));
        }
        [&train, &test].into_iter().try_for_each(|split| check_labels(class_names.len(), split.labels()))?;
        let channels = train.shape()[0];
        Ok(Dataset {
            name: name.into(),
            shape: train.shape(),
            schema: None,
            classes: class_names.len(),
            class_names,
            numbered: false,
            mean: vec![0.0; channels],
            std: vec![1.0; channels],
            train: Arc::new(train),
            validation: None,
            test: Arc::new(test),
            account: Account::default(),
        })
    }

    /// What tells this set's content from any other's, wherever it is kept.
    pub fn fingerprint(&self) -> Fingerprint {
        let part = |split: &Split| split.fingerprint();
        Fingerprint {
            classes: self.class_names.clone(),
            train: part(&self.train),
            validation: self.validation.as_deref().map(part),
            test: part(&self.test),
        }
    }

    /// What to learn from and what to validate by, for a run with this seed: a share of the training samples, of which every seed
    /// holds out others, or without a share what the set itself holds out.
    ///
    /// # Errors
    /// [`DataError::Invalid`] if any part would be empty.
    pub fn parts(&self, validation: Option<Share>, seed: u64) -> Result<(Arc<Split>, Option<Arc<Split>>), DataError> {
        if self.train.is_empty() {
            let name = &self.name;
            return Err(DataError::Invalid(format!(
                "`{name}` has no training images: nets can be evaluated on it alone"
            )));
        }
        let Some(share) = validation else { return Ok((self.train.clone(), self.validation.clone())) };
        let (samples, held_out) = (self.train.len(), share.of(self.train.len()));
        let most = draw::most(self.train.labels());
        if held_out == 0 || held_out > most {
            return Err(DataError::Invalid(format!(
                "`data.validation` takes {held_out} of the {samples} training samples of `{}`; at least one must go to \
                 either side, and {most} at most, so that each class keeps one",
                self.name
            )));
        }
        let (validation, train) = self.train.divide(held_out, seed);
        Ok((Arc::new(train), Some(Arc::new(validation))))
    }

    /// How many samples a run with this seed reads for what, and where they come from.
    ///
    /// # Errors
    /// As [`Dataset::parts`].
    pub fn composition(&self, validation: Option<Share>, seed: u64) -> Result<Composition, DataError> {
        let (train, held_out) = self.parts(validation, seed)?;
        let mut account = self.account.clone();
        if validation.is_some() {
            if self.validation.is_some() {
                let own = std::mem::take(&mut account.validation);
                account.left_out.push(format!("{own}, as `data.validation` holds out a share of the training samples"));
            }
            account.validation = "`data.validation` of the training samples, drawn class by class".to_owned();
        }
        let part = |split: &Split| PartCounts::of(split, self.classes);
        Ok(Composition {
            train: part(&train),
            validation: held_out.as_deref().map(part),
            test: part(&self.test),
            account,
        })
    }
}

/// The samples of one purpose: N images and N labels.
///
/// Images wait as bytes (a quarter of the floats) or encoded, and the loader makes the floats batch by batch.
/// The fields are private so that a split in hand is always consistent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    shape: [usize; 3],
    images: Images,
    /// A second image of each sample, what is to be made of the first, N × C × H × W: empty if samples have none.
    targets: Vec<u8>,
    labels: Vec<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Images {
    /// N × C × H × W.
    Pixels(Vec<u8>),
    /// In the formats of pictures, each of its own size.
    Encoded {
        images: Vec<Encoded>,
        /// Of each image; none if they were not looked at.
        digests: Vec<[u8; 32]>,
        orientation: Orientation,
    },
    /// Read by whoever made the split.
    Own(Own),
    /// No images, but rows of a table.
    Rows(Rows),
}

impl Split {
    /// Puts a split together from parts that fit: `images` holds one sample of `shape` per label, and every label is
    /// below `classes`.
    ///
    /// # Errors
    /// [`DataError::Invalid`] if they do not.
    pub fn new(shape: [usize; 3], classes: usize, images: Vec<u8>, labels: Vec<u32>) -> Result<Split, DataError> {
        let [channels, height, width] = shape;
        let sample = checked_len(shape)?;
        if labels.len().checked_mul(sample) != Some(images.len()) {
            return Err(DataError::Invalid(format!(
                "{} bytes are not {} images of {channels}×{height}×{width}",
                images.len(),
                labels.len(),
            )));
        }
        check_labels(classes, &labels)?;
        Ok(Split { shape, images: Images::Pixels(images), targets: Vec::new(), labels })
    }

    /// Pairs of images of one shape: what is seen, and what is to be made of it. There is one class.
    ///
    /// # Errors
    /// [`DataError::Invalid`] if the bytes are not as many images of `shape` on either side.
    pub fn pairs(shape: [usize; 3], images: Vec<u8>, targets: Vec<u8>) -> Result<Split, DataError> {
        let sample = checked_len(shape)?;
        let (count, others) = (images.len() / sample, targets.len() / sample);
        if targets.len() != images.len() {
            return Err(DataError::Invalid(format!("{count} images cannot be paired with {others}")));
        }
        Ok(Split { targets, ..Split::new(shape, 1, images, vec![0; count])? })
    }

    /// As [`Split::new`], of images that are decoded and brought to `shape` when they are needed.
    pub(super) fn encoded(
        shape: [usize; 3],
        classes: usize,
        images: Vec<Encoded>,
        digests: Vec<[u8; 32]>,
        labels: Vec<u32>,
        orientation: Orientation,
    ) -> Result<Split, DataError> {
        checked_len(shape)?;
        assert!(images.len() == labels.len() && (digests.is_empty() || digests.len() == labels.len()));
        check_labels(classes, &labels)?;
        Ok(Split { shape, images: Images::Encoded { images, digests, orientation }, targets: Vec::new(), labels })
    }

    /// As [`Split::new`], of images that are read when they are needed, see [`Samples`]: one for each label, from index 0 on.
    ///
    /// # Errors
    /// [`DataError::Invalid`] if a label is not below `classes`, or the shape is none.
    pub fn of(
        shape: [usize; 3],
        classes: usize,
        samples: impl Samples + 'static,
        labels: Vec<u32>,
    ) -> Result<Split, DataError> {
        checked_len(shape)?;
        check_labels(classes, &labels)?;
        let images = Images::Own(Own::new(Arc::new(samples), labels.len()));
        Ok(Split { shape, images, targets: Vec::new(), labels })
    }

    /// Rows of a table with so many columns.
    pub(crate) fn rows(columns: usize, classes: usize, rows: Rows, labels: Vec<u32>) -> Result<Split, DataError> {
        let shape = [1, 1, columns];
        checked_len(shape)?;
        check_labels(classes, &labels)?;
        Ok(Split { shape, images: Images::Rows(rows), targets: Vec::new(), labels })
    }

    /// The rows, if the samples are rows of a table.
    pub(crate) fn as_rows(&self) -> Option<&Rows> {
        match &self.images {
            Images::Rows(rows) => Some(rows),
            _ => None,
        }
    }

    /// Whether samples are rows of a table that are read from a file.
    pub fn is_on_disk(&self) -> bool {
        self.as_rows().is_some_and(Rows::is_on_disk)
    }

    /// Of picture files without labels: grey if `shape` has one channel, colours if it has three.
    ///
    /// # Errors
    /// [`DataError::Invalid`] if it has another number.
    pub fn pictures(shape: [usize; 3], files: &[PathBuf], orientation: Orientation) -> Result<Split, DataError> {
        if ![1, 3].contains(&shape[0]) {
            let channels = shape[0];
            return Err(DataError::Invalid(format!("a picture has one or three channels, not {channels}")));
        }
        let images = files.iter().cloned().map(Encoded::File).collect();
        Split::encoded(shape, 1, images, Vec::new(), vec![0; files.len()], orientation)
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Channels, height, width of one sample.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// How many values one sample has: C × H × W.
    pub fn sample_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// All labels.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Whether images have to be decoded or fetched, which takes far longer than anything else that is done to them.
    pub fn is_encoded(&self) -> bool {
        !matches!(self.images, Images::Pixels(_) | Images::Rows(_))
    }

    /// The bytes of one image, C × H × W, as it is evaluated: an encoded one of another size is cut and resized.
    ///
    /// # Errors
    /// [`DataError::Image`] or [`DataError::Io`] if an encoded image cannot be read, [`DataError::Sample`] one's own.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Split::len), as a slice does.
    pub fn image(&self, index: usize) -> Result<Cow<'_, [u8]>, DataError> {
        let [_, height, width] = self.shape;
        Ok(match &self.images {
            Images::Pixels(_) | Images::Own(_) | Images::Rows(_) => self.picture(index)?.bytes,
            Images::Encoded { .. } => {
                let picture = self.picture(index)?;
                let mut bytes = Vec::new();
                pixels::fit(&picture, [height, width], &mut bytes);
                Cow::Owned(bytes)
            }
        })
    }

    /// Reads one image and forgets it. Rows of a table were read when it was opened.
    ///
    /// # Errors
    /// As [`Split::image`].
    pub fn check(&self, index: usize) -> Result<(), DataError> {
        if self.as_rows().is_some() { Ok(()) } else { self.picture(index).map(drop) }
    }

    /// One image in its own size.
    pub(super) fn picture(&self, index: usize) -> Result<Picture<'_>, DataError> {
        let [channels, height, width] = self.shape;
        match &self.images {
            Images::Pixels(bytes) => {
                let len = self.sample_len();
                Ok(Picture { height, width, bytes: Cow::Borrowed(&bytes[index * len..][..len]) })
            }
            Images::Encoded { images, orientation, .. } => images[index].decode(channels, *orientation),
            Images::Own(own) => Ok(Picture { height, width, bytes: own.read(index, self.shape)?.into() }),
            Images::Rows(_) => Err(DataError::Invalid("the samples are rows of a table, not images".to_owned())),
        }
    }

    /// What tells these samples from others: see [`Fingerprint`].
    pub fn fingerprint(&self) -> PartFingerprint {
        let mut digest = Sha256::new();
        digest.update(format!("{:?}", self.shape));
        self.labels.iter().for_each(|label| digest.update(label.to_le_bytes()));
        match &self.images {
            Images::Pixels(bytes) => digest.update(bytes),
            Images::Encoded { digests, .. } => digests.iter().for_each(|image| digest.update(image)),
            // Only whoever made them knows more.
            Images::Own(_) => {}
            // A temporary file that cannot be read tells nothing apart, and the first batch says so.
            Images::Rows(rows) => {
                let _ = rows.each(|words| digest.update(bytemuck::cast_slice(words)));
            }
        }
        digest.update(&self.targets);
        PartFingerprint { samples: self.len() as u64, sha256: hex(&digest.finalize()) }
    }

    /// Whether samples are pairs of images.
    pub fn is_paired(&self) -> bool {
        !self.targets.is_empty()
    }

    /// What is to be made of an image: the second one of a pair, or else itself.
    pub(super) fn target(&self, index: usize) -> Result<Picture<'_>, DataError> {
        if !self.is_paired() {
            return self.picture(index);
        }
        let [_, height, width] = self.shape;
        let len = self.sample_len();
        Ok(Picture { height, width, bytes: Cow::Borrowed(&self.targets[index * len..][..len]) })
    }

    /// Two splits: `first` samples by chance, and the others. Each class gives its share of the first, at least one where it
    /// can, and never its last sample: where that leaves too few, they are fewer. Which they are depends on labels and seed alone;
    /// both keep the order of this one.
    pub fn divide(&self, first: usize, seed: u64) -> (Split, Split) {
        let (chosen, others) = draw::divide(&self.labels, first, seed);
        (self.select(&chosen), self.select(&others))
    }

    /// How many samples each class has, of so many classes.
    pub fn counts(&self, classes: usize) -> Vec<u64> {
        let mut counts = draw::counts(&self.labels);
        counts.resize(classes, 0);
        counts
    }

    /// No samples, of the same form.
    pub(super) fn none(&self) -> Split {
        self.select(&[])
    }

    pub(super) fn select(&self, indices: &[u32]) -> Split {
        let of = || indices.iter().map(|&index| index as usize);
        let chosen = |bytes: &[u8]| {
            let len = self.sample_len();
            let mut chosen = Vec::with_capacity(indices.len() * len);
            of().for_each(|index| chosen.extend_from_slice(&bytes[index * len..][..len]));
            chosen
        };
        let targets = if self.is_paired() { chosen(&self.targets) } else { Vec::new() };
        let images = match &self.images {
            Images::Pixels(bytes) => Images::Pixels(chosen(bytes)),
            Images::Encoded { images, digests, orientation } => Images::Encoded {
                images: of().map(|index| images[index].clone()).collect(),
                digests: of().filter_map(|index| digests.get(index).copied()).collect(),
                orientation: *orientation,
            },
            Images::Own(own) => Images::Own(own.select(indices)),
            Images::Rows(rows) => Images::Rows(rows.select(indices)),
        };
        Split { shape: self.shape, images, targets, labels: of().map(|index| self.labels[index]).collect() }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn checked_len(shape: [usize; 3]) -> Result<usize, DataError> {
    let [channels, height, width] = shape;
    sample_len(shape)
        .filter(|&len| len > 0)
        .ok_or_else(|| DataError::Invalid(format!("{channels}×{height}×{width} is not the shape of an image")))
}

fn check_labels(classes: usize, labels: &[u32]) -> Result<(), DataError> {
    // Orders are 32-bit numbers, here and on the GPU.
    if u32::try_from(labels.len()).is_err() {
        return Err(DataError::Invalid(format!("{} samples are more than can be numbered", labels.len())));
    }
    match labels.iter().position(|&label| label as usize >= classes) {
        Some(at) => {
            Err(DataError::Invalid(format!("sample {at} has label {}, but there are {classes} classes", labels[at])))
        }
        None => Ok(()),
    }
}

/// C × H × W, unless that is more than the machine can count.
pub(super) fn sample_len([channels, height, width]: [usize; 3]) -> Option<usize> {
    channels.checked_mul(height)?.checked_mul(width)
}
