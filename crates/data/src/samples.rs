//! Samples that nothing here knows how to read.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::DataError;
use super::dataset::sample_len;

/// Images of a custom form: made up, in a data base, over the network. [`Split::of`](super::Split::of) makes a split of
/// them, which is shuffled, augmented, divided and batched as any other.
///
/// The loader's worker threads read samples when their batch is due, in any order and again in each epoch; the same index must
/// always give the same image.
pub trait Samples: fmt::Debug + Send + Sync {
    /// Appends one image to `pixels`: C × H × W bytes of the split's shape, plane by plane.
    ///
    /// # Errors
    /// Whatever keeps it from being read; it stands in the place of its batch, as [`DataError::Sample`].
    fn read(&self, index: usize, pixels: &mut Vec<u8>) -> Result<(), Box<dyn Error + Send + Sync>>;
}

/// Some of them.
#[derive(Debug, Clone)]
pub(super) struct Own {
    samples: Arc<dyn Samples>,
    /// Which.
    indices: Vec<u32>,
}

impl PartialEq for Own {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.samples, &other.samples) && self.indices == other.indices
    }
}

impl Eq for Own {}

impl Own {
    /// The first `count`.
    pub fn new(samples: Arc<dyn Samples>, count: usize) -> Self {
        Self { samples, indices: (0..count as u32).collect() }
    }

    /// Some of these.
    pub fn select(&self, chosen: &[u32]) -> Self {
        let indices = chosen.iter().map(|&index| self.indices[index as usize]).collect();
        Self { samples: self.samples.clone(), indices }
    }

    /// One of these, checked.
    pub fn read(&self, index: usize, shape: [usize; 3]) -> Result<Vec<u8>, DataError> {
        let index = self.indices[index] as usize;
        let bytes = sample_len(shape).expect("the split checked its shape");
        let mut pixels = Vec::with_capacity(bytes);
        self.samples.read(index, &mut pixels).map_err(|source| DataError::Sample { index, source })?;
        if pixels.len() != bytes {
            let source = format!("it has {} bytes, not {bytes}", pixels.len()).into();
            return Err(DataError::Sample { index, source });
        }
        Ok(pixels)
    }
}
