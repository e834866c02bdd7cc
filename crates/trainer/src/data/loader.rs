//! From bytes to batches: order, normalisation, padding, and a worker thread that stays ahead of the trainer.
//!
//! ```text
//! worker   take a buffer from the pool ─▶ fill it ─▶ bounded channel ─┐
//! trainer  ┌────────────────────── use the batch ◀── next() ◀─────────┘
//!          └─▶ drop the batch: its buffer goes back to the pool
//! ```
//!
//! After the first few batches nothing is allocated. The channel's bound is the only brake: the worker waits when
//! `prefetch` batches lie ready, and it ends when the epoch is dropped, early or not.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use super::batch::{Batch, Buffers, Filler, Pool};
use super::{DataError, Dataset, Split, order};

/// How to batch a split.
#[derive(Debug, Clone, PartialEq)]
pub struct LoaderOptions {
    /// Rows of every batch.
    pub batch: usize,
    /// The seed of the shuffle; `None` keeps the order of the file.
    pub shuffle: Option<u64>,
    /// What is subtracted from `x / 255`, per channel.
    pub mean: Vec<f32>,
    /// What the difference is divided by, per channel.
    pub std: Vec<f32>,
    /// How many batches may lie ready. With 0 there is no worker thread, and `next()` does the work.
    pub prefetch: usize,
}

impl LoaderOptions {
    /// For learning: shuffled by `seed` and epoch, normalised as `set` says.
    pub fn train(set: &Dataset, batch: usize, seed: u64) -> LoaderOptions {
        LoaderOptions { shuffle: Some(seed), ..LoaderOptions::evaluate(set, batch) }
    }

    /// For judging: in the order of the file, normalised as `set` says.
    pub fn evaluate(set: &Dataset, batch: usize) -> LoaderOptions {
        LoaderOptions { batch, shuffle: None, mean: set.mean.clone(), std: set.std.clone(), prefetch: 2 }
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

/// The batches of one epoch, in order. Dropping it early stops the worker.
pub struct Epoch {
    filler: Arc<Filler>,
    batches: Range<usize>,
    worker: Option<Worker>,
}

impl Loader {
    /// Checks the options against the split.
    pub fn new(split: Arc<Split>, options: LoaderOptions) -> Result<Loader, DataError> {
        let [channels, ..] = split.shape();
        if options.batch == 0 {
            return Err(DataError::Invalid("a batch needs at least one row".to_owned()));
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
        });
        let batches = first.min(self.batches())..self.batches();
        // Without a thread (none wanted, or the system has none left) the epoch fills its batches itself.
        let worker = match self.options.prefetch {
            0 => None,
            prefetch => Worker::start(&filler, batches.clone(), prefetch.min(batches.len())),
        };
        Epoch { filler, batches, worker }
    }
}

impl Iterator for Epoch {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let index = self.batches.next()?;
        match &mut self.worker {
            None => Some(self.filler.fill(index)),
            Some(worker) => Some(worker.receive()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.batches.size_hint()
    }
}

impl ExactSizeIterator for Epoch {}

/// A thread that fills batches ahead.
struct Worker {
    /// `None` only while being dropped.
    ready: Option<Receiver<Batch>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// `None` if the system has no thread to give.
    fn start(filler: &Arc<Filler>, batches: Range<usize>, prefetch: usize) -> Option<Worker> {
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

    /// The next batch. The worker sends as many as the epoch asks for, so it can only be missing if it panicked, and
    /// then that panic goes on here instead of an epoch ending quietly too early.
    fn receive(&mut self) -> Batch {
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
