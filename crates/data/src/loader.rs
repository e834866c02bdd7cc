//! From samples to batches: worker threads that stay ahead of the trainer.
//!
//! ```text
//! sampler ─▶ numbers of the samples of batch n ─▶ source reads them into named arrays ─▶ padding and mask ─▶ Batch
//!
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

use super::arrays::{ArraySource, ArraySpec};
use super::batch::{Batch, Filler, Pool, room};
use super::images::Images;
use super::sampler::{EachOnce, Sampler};
use super::table::RowSource;
use super::{Augment, DataError, Dataset, Split};

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

/// What images are handed out as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pixels {
    /// The bytes that they are, for steps that normalise them: a quarter of the memory. A blanked square has the bytes next to the mean
    /// colour. Images with noise and mixed ones are no bytes, and come as [`Pixels::Normalised`].
    Bytes,
    /// Floats, `(x / 255 − mean) / std`.
    Normalised,
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
    /// What images are handed out as, and those that are to be made of them: as bytes, or as floats from 0 to 1.
    pub pixels: Pixels,
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
    /// For judging: in the order of the file, images as bytes, with the normalisation of `set`.
    pub fn evaluate(set: &Dataset, batch: usize) -> LoaderOptions {
        let cores = thread::available_parallelism().map_or(FEW, |cores| cores.get());
        LoaderOptions {
            batch,
            shuffle: None,
            augment: Augment::default(),
            goal: Goal::Classes(set.classes),
            noise: 0.0,
            pixels: Pixels::Bytes,
            mean: set.mean.clone(),
            std: set.std.clone(),
            workers: if set.train.is_encoded() { cores.min(MANY) } else { FEW },
            prefetch: 1,
        }
    }

    /// What images are handed out as: noise and mixtures are no bytes.
    pub(crate) fn handed_out(&self) -> Pixels {
        if self.noise > 0.0 || self.augment.mixup.is_some() { Pixels::Normalised } else { self.pixels }
    }

    /// What is for images alone.
    fn check_for_rows(&self) -> Result<(), DataError> {
        let refuse = |setting: &str| {
            Err(DataError::Invalid(format!("`data.{setting}` is for images, and the set is a table; remove it")))
        };
        match (self.augment.is_none(), self.noise > 0.0) {
            (false, _) => refuse("augment"),
            (_, true) => refuse("noise"),
            _ => Ok(()),
        }
    }

    /// For learning: shuffled by `seed` and epoch.
    pub fn shuffled(self, seed: u64) -> LoaderOptions {
        LoaderOptions { shuffle: Some(seed), ..self }
    }
}

/// Hands out batches, epoch by epoch: what a source has, as a sampler chooses it.
#[derive(Debug)]
pub struct Loader {
    source: Arc<dyn ArraySource>,
    sampler: Arc<dyn Sampler>,
    rows: usize,
    workers: usize,
    prefetch: usize,
    pool: Arc<Pool>,
}

/// The batches of one epoch, in order. Dropping it early stops the workers.
///
/// A sample that cannot be read is an error in the place of its batch.
pub struct Epoch {
    filler: Arc<Filler>,
    batches: Range<usize>,
    /// They fill the batches in turn; empty if the epoch fills its batches itself.
    workers: Vec<Worker>,
    /// The worker whose turn it is.
    turn: usize,
}

impl Loader {
    /// Of the samples of a split, each once in an epoch. Checks the options against the split.
    ///
    /// # Errors
    /// [`DataError::Invalid`] if they do not fit, or a batch does not fit into memory.
    pub fn new(split: Arc<Split>, options: LoaderOptions) -> Result<Loader, DataError> {
        let LoaderOptions { batch, shuffle, workers, prefetch, .. } = options;
        // A split never has more samples than 32 bits count.
        let sampler = EachOnce { samples: split.len() as u32, batch: batch.max(1), shuffle };
        let source: Arc<dyn ArraySource> = match split.as_rows().cloned() {
            Some(rows) => {
                options.check_for_rows()?;
                Arc::new(RowSource::new(split, rows))
            }
            None => Arc::new(Images::new(split, &options)?),
        };
        Loader::of(source, Arc::new(sampler), batch, [workers, prefetch])
    }

    /// Of any source, in batches of so many rows, as the sampler chooses them. So many threads fill batches, and so many batches of
    /// each may lie ready.
    ///
    /// # Errors
    /// [`DataError::Invalid`] if a batch has no rows or does not fit into memory.
    pub fn of(
        source: Arc<dyn ArraySource>,
        sampler: Arc<dyn Sampler>,
        batch: usize,
        [workers, prefetch]: [usize; 2],
    ) -> Result<Loader, DataError> {
        if batch == 0 {
            return Err(DataError::Invalid("a batch needs at least one row".to_owned()));
        }
        // The first arrays, so that a batch that cannot be had is an error now and not an abort in the worker.
        let arrays = room(&*source, batch)
            .ok_or_else(|| DataError::Invalid(format!("a batch of {batch} rows does not fit into memory")))?;
        Ok(Loader { source, sampler, rows: batch, workers, prefetch, pool: Arc::new(Pool::new(arrays)) })
    }

    /// What arrays the batches consist of, the mask aside.
    pub fn arrays(&self) -> &[ArraySpec] {
        self.source.arrays()
    }

    /// How many batches an epoch has.
    pub fn batches(&self) -> usize {
        self.sampler.batches()
    }

    /// How many samples an epoch has.
    pub fn samples(&self) -> usize {
        self.sampler.samples()
    }

    /// The batches of epoch number `epoch`.
    pub fn epoch(&self, epoch: u64) -> Epoch {
        self.epoch_from(epoch, 0)
    }

    /// The batches of an epoch from batch number `first` on: how an interrupted run goes on where it was.
    pub fn epoch_from(&self, epoch: u64, first: usize) -> Epoch {
        let filler = Arc::new(Filler {
            source: self.source.clone(),
            plan: self.sampler.epoch(epoch),
            pool: self.pool.clone(),
            rows: self.rows,
            epoch,
        });
        let batches = first.min(self.batches())..self.batches();
        let count = self.workers.min(batches.len());
        let prefetch = self.prefetch.min(batches.len());
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
