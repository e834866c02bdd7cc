//! From bytes to batches: order, augmentation, normalisation, padding, and worker threads that stay ahead of the trainer.
//!
//! ```text
//! worker 0  take a buffer from the pool ─▶ fill batch 0, 2, 4 … ─▶ bounded channel ─┐
//! worker 1  take a buffer from the pool ─▶ fill batch 1, 3, 5 … ─▶ bounded channel ─┤
//! trainer   ┌───────────────────── use the batch ◀── next(): from each in turn ◀────┘
//!           └─▶ drop the batch: its buffer goes back to the pool
//! ```
//!
//! A batch depends on its number alone, and the trainer takes them in the order of their numbers: how many workers there
//! are changes nothing but the pace. After the first few batches nothing is allocated. The channels' bound is the only
//! brake: a worker waits when `prefetch` of its batches lie ready, and it ends when the epoch is dropped, early or not.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use super::batch::{Batch, Buffers, Filler, Pool};
use super::{Augment, DataError, Dataset, Split, order};

/// Workers where images only have to be copied and cut: one fills while the other waits for room.
const FEW: usize = 2;
/// Workers at most where they have to be decoded: a graphics card waits for no more.
const MANY: usize = 8;

/// What a net is to make of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The right one of so many classes.
    Classes(usize),
    /// The second image of a pair, or the same image where samples are not pairs.
    Images,
}

/// How to batch a split.
#[derive(Debug, Clone, PartialEq)]
pub struct LoaderOptions {
    /// Rows of every batch.
    pub batch: usize,
    /// The seed of the shuffle and of the augmentation; `None` keeps the order of the file.
    pub shuffle: Option<u64>,
    /// What chance does to the images. Keyed by the seed, so it needs one.
    pub augment: Augment,
    /// What is to be made of the images.
    pub goal: Goal,
    /// The deviation of normal noise on all images, evaluated ones included, as a share of white; targets have none.
    pub noise: f64,
    /// What is subtracted from `x / 255`, per channel.
    pub mean: Vec<f32>,
    /// What the difference is divided by, per channel.
    pub std: Vec<f32>,
    /// How many threads fill batches. With 0, `next()` does the work.
    pub workers: usize,
    /// How many batches of each worker may lie ready.
    pub prefetch: usize,
}

impl LoaderOptions {
    /// For judging: in the order of the file, normalised as `set` says.
    pub fn evaluate(set: &Dataset, batch: usize) -> LoaderOptions {
        let cores = thread::available_parallelism().map_or(FEW, |cores| cores.get());
        LoaderOptions {
            batch,
            shuffle: None,
            augment: Augment::default(),
            goal: Goal::Classes(set.classes),
            noise: 0.0,
            mean: set.mean.clone(),
            std: set.std.clone(),
            workers: if set.train.is_encoded() { cores.min(MANY) } else { FEW },
            prefetch: 1,
        }
    }

    /// For learning: shuffled by `seed` and epoch.
    pub fn shuffled(self, seed: u64) -> LoaderOptions {
        LoaderOptions { shuffle: Some(seed), ..self }
    }
}

/// Hands out the batches of one split, epoch by epoch.
#[derive(Debug)]
pub struct Loader {
    split: Arc<Split>,
    options: LoaderOptions,
    /// What each of the 256 bytes becomes, for each channel: the whole normalisation is one look-up.
    table: Arc<[[f32; 256]]>,
    pool: Arc<Pool>,
}

/// The batches of one epoch, in order. Dropping it early stops the workers.
///
/// An image that cannot be read is an error in the place of its batch.
pub struct Epoch {
    filler: Arc<Filler>,
    batches: Range<usize>,
    /// They fill the batches in turn; empty if the epoch fills its batches itself.
    workers: Vec<Worker>,
    /// The worker whose turn it is.
    turn: usize,
}

impl Loader {
    /// Checks the options against the split.
    pub fn new(split: Arc<Split>, options: LoaderOptions) -> Result<Loader, DataError> {
        let [channels, ..] = split.shape();
        if options.batch == 0 {
            return Err(DataError::Invalid("a batch needs at least one row".to_owned()));
        }
        options.augment.check(split.shape())?;
        if options.shuffle.is_none() && !options.augment.is_none() {
            return Err(DataError::Invalid("augmentation needs the seed of a shuffle".to_owned()));
        }
        if options.goal == Goal::Images && options.augment.mixup.is_some() {
            let what = "`data.augment.mixup` mixes labels, and a net that makes images learns from none";
            return Err(DataError::Invalid(what.to_owned()));
        }
        if options.goal != Goal::Images && split.is_paired() {
            let what = "the set has pairs of images and no labels; it is for nets that make images, for example `unet`";
            return Err(DataError::Invalid(what.to_owned()));
        }
        // The first buffer, so that a batch that cannot be had is an error now and not an abort in the worker.
        let buffers = Buffers::new(options.batch, split.sample_len())
            .ok_or_else(|| DataError::Invalid(format!("a batch of {} rows does not fit into memory", options.batch)))?;
        if options.mean.len() != channels || options.std.len() != channels {
            return Err(DataError::Invalid(format!(
                "{channels} channels need as many means and deviations, not {} and {}",
                options.mean.len(),
                options.std.len(),
            )));
        }
        if options.mean.iter().any(|mean| !mean.is_finite())
            || options.std.iter().any(|std| !std.is_normal() || *std < 0.0)
        {
            return Err(DataError::Invalid("a mean is not finite, or a deviation is not above zero".to_owned()));
        }
        let table = options.mean.iter().zip(&options.std);
        let table = table.map(|(mean, std)| std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / std)).collect();
        Ok(Loader { split, options, table, pool: Arc::new(Pool::new(buffers)) })
    }

    /// How many batches an epoch has.
    pub fn batches(&self) -> usize {
        self.split.len().div_ceil(self.options.batch)
    }

    /// How many samples an epoch has.
    pub fn samples(&self) -> usize {
        self.split.len()
    }

    /// The batches of epoch number `epoch`.
    pub fn epoch(&self, epoch: u64) -> Epoch {
        self.epoch_from(epoch, 0)
    }

    /// The batches of an epoch from batch number `first` on: how an interrupted run goes on where it was.
    pub fn epoch_from(&self, epoch: u64, first: usize) -> Epoch {
        // A split never has more samples than 32 bits count.
        let order = self.options.shuffle.map(|seed| order::permutation(self.split.len() as u32, seed, epoch));
        let filler = Arc::new(Filler {
            split: self.split.clone(),
            table: self.table.clone(),
            pool: self.pool.clone(),
            batch: self.options.batch,
            order,
            augment: self.options.augment.clone(),
            goal: self.options.goal,
            noise: match self.options.noise > 0.0 {
                true => self.options.std.iter().map(|&std| self.options.noise / f64::from(std)).collect(),
                false => Vec::new(),
            },
            seed: self.options.shuffle.unwrap_or(0),
            epoch,
        });
        let batches = first.min(self.batches())..self.batches();
        let count = self.options.workers.min(batches.len());
        let prefetch = self.options.prefetch.min(batches.len());
        let start = |worker| Worker::start(&filler, batches.clone().skip(worker).step_by(count), prefetch);
        // Without threads (none wanted, or the system has none left) the epoch fills its batches itself.
        let workers = (0..count).map(start).collect::<Option<Vec<Worker>>>().unwrap_or_default();
        Epoch { filler, batches, workers, turn: 0 }
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Result<Batch, DataError>> {
        let index = self.batches.next()?;
        if self.workers.is_empty() {
            return Some(self.filler.fill(index));
        }
        let batch = self.workers[self.turn].receive();
        self.turn = (self.turn + 1) % self.workers.len();
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.batches.size_hint()
    }
}

impl ExactSizeIterator for Epoch {}

/// A thread that fills batches ahead.
struct Worker {
    /// `None` only while being dropped.
    ready: Option<Receiver<Result<Batch, DataError>>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// `None` if the system has no thread to give.
    fn start(
        filler: &Arc<Filler>,
        batches: impl Iterator<Item = usize> + Send + 'static,
        prefetch: usize,
    ) -> Option<Worker> {
        let (sender, ready) = sync_channel(prefetch);
        let filler = filler.clone();
        let work = move || {
            for index in batches {
                if sender.send(filler.fill(index)).is_err() {
                    // Nobody listens any more: the epoch was dropped.
                    break;
                }
            }
        };
        let thread = thread::Builder::new().name("frugal-data".to_owned()).spawn(work).ok()?;
        Some(Worker { ready: Some(ready), thread: Some(thread) })
    }

    /// The next of its batches. The worker sends as many as the epoch asks for, so it can only be missing if it panicked, and
    /// then that panic goes on here instead of an epoch ending quietly too early.
    fn receive(&mut self) -> Result<Batch, DataError> {
        if let Some(batch) = self.ready.as_ref().and_then(|ready| ready.recv().ok()) {
            return batch;
        }
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            _ => unreachable!("the worker ended before its epoch"),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // First close the channel, which wakes a worker that waits for room; then wait for its last batch.
        self.ready = None;
        if let Some(thread) = self.thread.take() {
            // A panic over there has been shown by its own thread; dropping must not start another.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
