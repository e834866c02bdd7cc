//! Which samples make a batch, and in which order: a stage of the loader that can be replaced, for example by one that gives each
//! of several ranks its share, or by one that adds the neighbours of a graph's nodes.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::order;

/// Chooses the samples of each batch.
pub trait Sampler: fmt::Debug + Send + Sync {
    /// How many batches an epoch has.
    fn batches(&self) -> usize;

    /// How many samples an epoch has.
    fn samples(&self) -> usize;

    /// The batches of an epoch. They follow from its number alone.
    fn epoch(&self, epoch: u64) -> Arc<dyn EpochPlan>;
}

/// The batches of an epoch, as numbers of samples.
pub trait EpochPlan: fmt::Debug + Send + Sync {
    /// The samples of batch number `batch`: at least one, and no more than a batch has rows.
    fn samples(&self, batch: usize) -> Cow<'_, [u32]>;
}

/// Every sample once in an epoch: in the order of their numbers, or shuffled anew for each epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EachOnce {
    /// How many there are.
    pub samples: u32,
    /// Rows of a batch.
    pub batch: usize,
    /// The seed of the shuffle; `None` keeps the order.
    pub shuffle: Option<u64>,
}

impl Sampler for EachOnce {
    fn batches(&self) -> usize {
        self.samples().div_ceil(self.batch)
    }

    fn samples(&self) -> usize {
        self.samples as usize
    }

    fn epoch(&self, epoch: u64) -> Arc<dyn EpochPlan> {
        let order = self.shuffle.map(|seed| order::permutation(self.samples, seed, epoch));
        Arc::new(Order { samples: self.samples, batch: self.batch, order })
    }
}

/// An epoch of [`EachOnce`].
#[derive(Debug)]
struct Order {
    samples: u32,
    batch: usize,
    /// Which sample stands at which place; `None` where each stands at its own.
    order: Option<Vec<u32>>,
}

impl EpochPlan for Order {
    fn samples(&self, batch: usize) -> Cow<'_, [u32]> {
        let start = batch * self.batch;
        let end = start.saturating_add(self.batch).min(self.samples as usize);
        match &self.order {
            Some(order) => Cow::Borrowed(&order[start..end]),
            None => (start as u32..end as u32).collect(),
        }
    }
}
