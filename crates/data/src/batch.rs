//! One batch: its arrays, where they come from and go to, and how they are filled.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::DataError;
use crate::arrays::{Array, ArraySource, Chunk, Elements, MASK};
use crate::sampler::EpochPlan;

/// One batch: named arrays. Their shapes never change: the last batch of an epoch is padded, and the array [`MASK`] says where.
///
/// Rows beyond `samples` repeat the first rows of the same batch with mask 0. Real samples and not zeros, because batch
/// norm takes its statistics over all rows.
pub struct Batch {
    /// Those of the source, then [`MASK`].
    arrays: Vec<Array>,
    /// How many rows are samples.
    pub samples: usize,
    /// How many rows there are.
    pub rows: usize,
    /// Which batch of the epoch this is, from 0.
    pub index: usize,
    pool: Arc<Pool>,
}

impl Batch {
    /// The array of this name, if there is one.
    pub fn array(&self, name: &str) -> Option<&Array> {
        self.arrays.iter().find(|array| array.name == name)
    }

    /// The floats of an array; none if there is no array of floats of this name.
    pub fn f32s(&self, name: &str) -> &[f32] {
        match self.array(name).map(|array| &array.elements) {
            Some(Elements::F32(values)) => values,
            _ => &[],
        }
    }

    /// The bytes of an array; none if there is no array of bytes of this name.
    pub fn u8s(&self, name: &str) -> &[u8] {
        match self.array(name).map(|array| &array.elements) {
            Some(Elements::U8(values)) => values,
            _ => &[],
        }
    }

    /// The floats of an array, or its bytes as shares of 255; none if it holds neither.
    pub fn shares(&self, name: &str) -> Cow<'_, [f32]> {
        match self.array(name).map(|array| &array.elements) {
            Some(Elements::U8(bytes)) => bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect(),
            _ => Cow::Borrowed(self.f32s(name)),
        }
    }

    /// The words of an array; none if there is no array of words of this name.
    pub fn u32s(&self, name: &str) -> &[u32] {
        match self.array(name).map(|array| &array.elements) {
            Some(Elements::U32(values)) => values,
            _ => &[],
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.pool.lock().push(std::mem::take(&mut self.arrays));
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch {} ({} samples in {} rows)", self.index, self.samples, self.rows)
    }
}

/// Free arrays, to be filled with a batch again. The pool never holds more than were in use at one time.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<Vec<Vec<Array>>>);

impl Pool {
    /// A pool that begins with the arrays of one batch.
    pub fn new(first: Vec<Array>) -> Pool {
        Pool(Mutex::new(vec![first]))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<Array>>> {
        // Nothing can be half-done in there, so a panic elsewhere is no reason for another one here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The arrays of a batch of so many rows, [`MASK`] included; `None` if there is not that much memory.
pub(crate) fn room(source: &dyn ArraySource, rows: usize) -> Option<Vec<Array>> {
    let mask = crate::ArraySpec::new(MASK, crate::ElementType::F32, []);
    source.arrays().iter().chain([&mask]).map(|spec| Array::with_capacity(spec, rows)).collect()
}

/// Makes any batch of one epoch; shared by the epoch and its workers.
pub(crate) struct Filler {
    pub source: Arc<dyn ArraySource>,
    pub plan: Arc<dyn EpochPlan>,
    pub pool: Arc<Pool>,
    /// Rows of a batch.
    pub rows: usize,
    pub epoch: u64,
}

impl Filler {
    /// Makes batch number `index`, which must exist.
    pub fn fill(&self, index: usize) -> Result<Batch, DataError> {
        let chosen = self.plan.samples(index);
        let (rows, samples) = (self.rows, chosen.len());
        // The guard must be gone before the long work begins.
        let recycled = self.pool.lock().pop();
        let arrays = match recycled {
            Some(arrays) => arrays,
            None => room(&*self.source, rows)
                .ok_or_else(|| DataError::Invalid(format!("another batch of {rows} rows does not fit into memory")))?,
        };
        // From here on an error gives the arrays back, too.
        let mut batch = Batch { arrays, samples, rows, index, pool: self.pool.clone() };
        batch.arrays.iter_mut().for_each(Array::clear);
        let (mask, arrays) = batch.arrays.split_last_mut().expect("there is a mask");
        self.source.read(Chunk { samples: &chosen, epoch: self.epoch, batch: index }, arrays)?;
        mask.f32s().resize(samples, 1.0);
        mask.f32s().resize(rows, 0.0);
        // Padding repeats what is there, so that it costs no decoding.
        for array in arrays {
            let len = array.len() / samples;
            (samples..rows).for_each(|row| array.repeat(row % samples, len));
        }
        Ok(batch)
    }
}
