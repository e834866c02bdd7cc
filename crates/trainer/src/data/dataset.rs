//! What a data set is once it is in memory: bytes and labels, nothing decoded ahead of time.

use std::sync::Arc;

use super::DataError;

/// A labelled image set, ready to be batched by a [`Loader`](super::Loader).
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The name in the catalogue.
    pub name: String,
    /// Channels, height, width of one sample.
    pub shape: [usize; 3],
    /// How many classes there are; every label is below it.
    pub classes: usize,
    /// What the classes are called, in the order of the labels.
    pub class_names: Vec<String>,
    /// Mean of `x / 255` over the training images, per channel.
    pub mean: Vec<f32>,
    /// Standard deviation of `x / 255` over the training images, per channel.
    pub std: Vec<f32>,
    /// What the net learns from.
    pub train: Arc<Split>,
    /// What the net is judged by.
    pub test: Arc<Split>,
}

/// The samples of one purpose, as bytes: N × C × H × W pixels and N labels.
///
/// Kept as bytes because that is a quarter of the floats, and the loader makes the floats batch by batch.
/// The fields are private so that a split in hand is always consistent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    shape: [usize; 3],
    images: Vec<u8>,
    labels: Vec<u8>,
}

impl Split {
    /// Puts a split together from parts that fit: `images` holds one sample of `shape` per label, and every label is
    /// below `classes`.
    pub fn new(shape: [usize; 3], classes: usize, images: Vec<u8>, labels: Vec<u8>) -> Result<Split, DataError> {
        let [channels, height, width] = shape;
        let sample = sample_len(shape)
            .filter(|&len| len > 0)
            .ok_or_else(|| DataError::Invalid(format!("{channels}×{height}×{width} is not the shape of an image")))?;
        // Orders are 32-bit numbers, here and on the GPU.
        if u32::try_from(labels.len()).is_err() || labels.len().checked_mul(sample) != Some(images.len()) {
            return Err(DataError::Invalid(format!(
                "{} bytes are not {} images of {channels}×{height}×{width}",
                images.len(),
                labels.len(),
            )));
        }
        if let Some(at) = labels.iter().position(|&label| usize::from(label) >= classes) {
            return Err(DataError::Invalid(format!(
                "sample {at} has label {}, but there are {classes} classes",
                labels[at]
            )));
        }
        Ok(Split { shape, images, labels })
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

    /// How many bytes one sample has: C × H × W.
    pub fn sample_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// All images, N × C × H × W.
    pub fn images(&self) -> &[u8] {
        &self.images
    }

    /// All labels.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The bytes of one image, C × H × W.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Split::len), as a slice does.
    pub fn image(&self, index: usize) -> &[u8] {
        let len = self.sample_len();
        &self.images[index * len..][..len]
    }
}

/// C × H × W, unless that is more than the machine can count.
pub(super) fn sample_len([channels, height, width]: [usize; 3]) -> Option<usize> {
    channels.checked_mul(height)?.checked_mul(width)
}
