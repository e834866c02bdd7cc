//! One batch: its buffers, where they come from and go to, and how they are filled.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::loader::Goal;
use super::order::Stream;
use super::{Augment, DataError, Split, augment};

/// One batch. Its shape never changes: the last one of an epoch is padded, and `mask` says where.
///
/// Rows beyond `samples` repeat the first rows of the same batch with mask 0. Real images and not zeros, because batch
/// norm takes its statistics over all rows.
pub struct Batch {
    /// batch × C × H × W, normalised.
    pub images: Vec<f32>,
    /// One label a row; of mixed samples that of the one that `images` began as.
    pub labels: Vec<u32>,
    /// Where samples are mixed, batch × classes: the share of each class. Where images are to be made, batch × C × H × W: those,
    /// from 0 to 1. Else empty.
    pub targets: Vec<f32>,
    /// The weight of each row in loss and accuracy: 1 for a sample, 0 for padding.
    pub mask: Vec<f32>,
    /// How many rows are samples.
    pub samples: usize,
    /// Which batch of the epoch this is, from 0.
    pub index: usize,
    pool: Arc<Pool>,
}

impl Drop for Batch {
    fn drop(&mut self) {
        let buffers = Buffers {
            images: std::mem::take(&mut self.images),
            labels: std::mem::take(&mut self.labels),
            targets: std::mem::take(&mut self.targets),
            mask: std::mem::take(&mut self.mask),
        };
        self.pool.lock().push(buffers);
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch {} ({} samples in {} rows)", self.index, self.samples, self.labels.len())
    }
}

/// The vectors of a batch between two uses.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    images: Vec<f32>,
    labels: Vec<u32>,
    targets: Vec<f32>,
    mask: Vec<f32>,
}

impl Buffers {
    /// Room for `batch` rows; `None` if there is not that much memory.
    pub fn new(batch: usize, sample: usize) -> Option<Buffers> {
        let mut buffers = Buffers::default();
        buffers.images.try_reserve_exact(batch.checked_mul(sample)?).ok()?;
        buffers.labels.try_reserve_exact(batch).ok()?;
        buffers.mask.try_reserve_exact(batch).ok()?;
        Some(buffers)
    }
}

/// Buffers that wait for their next batch. It never holds more than were in use at one time.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<Buffers>>);

impl Pool {
    /// A pool that begins with one set of buffers.
    pub fn new(first: Buffers) -> Pool {
        Pool(Mutex::new(vec![first]))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Buffers>> {
        // Nothing can be half-done in there, so a panic elsewhere is no reason for another one here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes any batch of one epoch; shared by the epoch and its workers.
pub(super) struct Filler {
    pub split: Arc<Split>,
    /// What each byte becomes, for each channel.
    pub table: Arc<[[f32; 256]]>,
    pub pool: Arc<Pool>,
    /// Rows of a batch.
    pub batch: usize,
    /// Which sample stands at which place; `None` where each stands at its own.
    pub order: Option<Vec<u32>>,
    pub augment: Augment,
    pub goal: Goal,
    /// The deviation of the noise on each channel, normalised as the channel is; empty for none.
    pub noise: Vec<f64>,
    /// What chance is keyed by, besides the sample.
    pub seed: u64,
    pub epoch: u64,
}

impl Filler {
    /// Makes batch number `index`, which must exist.
    pub fn fill(&self, index: usize) -> Result<Batch, DataError> {
        let start = index * self.batch;
        let samples = self.batch.min(self.split.len() - start);
        // The guard must be gone before the long work begins.
        let recycled = self.pool.lock().pop();
        let Buffers { mut images, mut labels, mut targets, mut mask } = recycled.unwrap_or_default();
        images.clear();
        labels.clear();
        targets.clear();
        mask.clear();
        images.reserve_exact(self.batch * self.split.sample_len());
        labels.reserve_exact(self.batch);
        mask.reserve_exact(self.batch);
        // From here on an error gives the buffers back, too.
        let mut batch = Batch { images, labels, targets, mask, samples, index, pool: self.pool.clone() };

        let mut bytes = Vec::new();
        for row in 0..samples {
            let place = start + row;
            let sample = self.order.as_ref().map_or(place, |order| order[place] as usize);
            self.add(sample, &mut bytes, &mut batch.images)?;
            if self.goal == Goal::Images {
                self.add_target(sample, &mut bytes, &mut batch.targets)?;
            }
            batch.labels.push(self.split.labels()[sample]);
            batch.mask.push(1.0);
        }
        if let (Goal::Classes(classes), Some(alpha)) = (self.goal, self.augment.mixup) {
            self.mix(&mut batch, classes, alpha);
        }
        // Padding repeats what is there, so that it costs no decoding.
        let (len, target) = (self.split.sample_len(), batch.targets.len() / samples);
        for row in samples..self.batch {
            let first = row % samples;
            batch.images.extend_from_within(first * len..(first + 1) * len);
            batch.labels.push(batch.labels[first]);
            batch.targets.extend_from_within(first * target..(first + 1) * target);
            batch.mask.push(0.0);
        }
        Ok(batch)
    }

    /// Mixes the samples of a batch, images and labels alike.
    fn mix(&self, batch: &mut Batch, classes: usize, alpha: f64) {
        let draws = Stream::of_batch(self.seed, self.epoch, batch.index as u64);
        let (share, samples) = (augment::mixing_share(alpha, draws), batch.samples);
        batch.targets.reserve_exact(self.batch * classes);
        batch.targets.resize(samples * classes, 0.0);
        for (row, &label) in batch.labels.iter().enumerate() {
            batch.targets[row * classes + label as usize] = 1.0;
        }
        augment::mix(&mut batch.images, self.split.sample_len(), samples, share);
        augment::mix(&mut batch.targets, classes, samples, share);
    }

    /// Adds the image that is to be made of a sample: cut and mirrored as the sample's, and otherwise as it is.
    fn add_target(&self, sample: usize, bytes: &mut Vec<u8>, targets: &mut Vec<f32>) -> Result<(), DataError> {
        let [_, height, width] = self.split.shape();
        let draws = Stream::of_sample(self.seed, self.epoch, sample as u64);
        targets.reserve_exact(self.batch * self.split.sample_len() - targets.len());
        self.augment.placement().apply(&self.split.target(sample)?, [height, width], draws, bytes);
        targets.extend(bytes.iter().map(|&byte| f32::from(byte) / 255.0));
        Ok(())
    }

    /// Adds one sample's floats; `bytes` is for use in between.
    fn add(&self, sample: usize, bytes: &mut Vec<u8>, images: &mut Vec<f32>) -> Result<(), DataError> {
        let begin = images.len();
        self.add_clean(sample, bytes, images)?;
        let [_, height, width] = self.split.shape();
        let mut draws = augment::noise(Stream::of_sample(self.seed, self.epoch, sample as u64));
        for (plane, &deviation) in images[begin..].chunks_exact_mut(height * width).zip(&self.noise) {
            augment::add_noise(plane, deviation, &mut draws);
        }
        Ok(())
    }

    fn add_clean(&self, sample: usize, bytes: &mut Vec<u8>, images: &mut Vec<f32>) -> Result<(), DataError> {
        let [_, height, width] = self.split.shape();
        let mut normalise = |bytes: &[u8]| {
            for (plane, table) in bytes.chunks_exact(height * width).zip(&*self.table) {
                images.extend(plane.iter().map(|&byte| table[usize::from(byte)]));
            }
        };
        if self.augment.is_none() {
            normalise(&self.split.image(sample)?);
            return Ok(());
        }
        let draws = Stream::of_sample(self.seed, self.epoch, sample as u64);
        self.augment.apply(&self.split.picture(sample)?, [height, width], draws, bytes);
        normalise(bytes);
        if let Some(hole) = self.augment.hole([height, width], draws) {
            let begin = images.len() - bytes.len();
            for plane in images[begin..].chunks_exact_mut(height * width) {
                for row in hole.top..hole.top + hole.height {
                    // After normalisation 0 is the mean colour.
                    plane[row * width + hole.left..][..hole.width].fill(0.0);
                }
            }
        }
        Ok(())
    }
}
