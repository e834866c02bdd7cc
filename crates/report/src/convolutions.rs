//! What convolutions read: the values that papers on compression count.

use frugal_tensor::plan::KeptValue;
use serde::Serialize;

/// The values that convolutions read, without the masks and tables beside them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Convolutions {
    /// Values that are saved for the backward pass.
    #[serde(rename = "waiting")]
    pub kept: usize,
    /// Values that are recomputed instead.
    #[serde(rename = "rebuilt")]
    pub recomputed: usize,
    /// Raw bytes of those that are saved.
    pub raw_bytes: u64,
    /// Bytes of their forms: where sizes follow the data, the mean over training.
    pub stored_bytes: u64,
    /// Bytes of the masks that are saved for others and that decoding reads as well.
    pub mask_bytes: u64,
    /// The images' share of the raw bytes.
    pub images_raw_bytes: u64,
    /// The images' share of the stored bytes.
    pub images_stored_bytes: u64,
}

impl Convolutions {
    /// Of all kept values; `size` says how many bytes a form takes.
    pub fn of<'a>(kept: impl Iterator<Item = &'a KeptValue>, size: impl Fn(&KeptValue) -> u64) -> Self {
        let mut all = Self::default();
        for value in kept.filter(|kept| kept.convolution_input) {
            if value.is_recomputed() {
                all.recomputed += 1;
                continue;
            }
            let stored = size(value);
            all.kept += 1;
            all.raw_bytes += value.raw_bytes;
            all.stored_bytes += stored;
            all.mask_bytes += value.mask_bytes;
            if value.is_input {
                all.images_raw_bytes += value.raw_bytes;
                all.images_stored_bytes += stored;
            }
        }
        all
    }

    /// Raw over stored bytes of those that are saved, as papers count. None if there are none, or if next to all are recomputed and
    /// the images alone wait: a ratio would say nothing.
    pub fn ratio(&self) -> Option<f64> {
        let says_nothing = self.recomputed > 0 && self.raw_bytes == self.images_raw_bytes;
        quotient(self.raw_bytes, self.stored_bytes).filter(|_| !says_nothing)
    }

    /// The same with the masks without which the forms could not be decoded.
    pub fn ratio_with_masks(&self) -> Option<f64> {
        self.ratio().and(quotient(self.raw_bytes, self.stored_bytes + self.mask_bytes))
    }

    /// The same as [`Self::ratio`] without the images.
    pub fn ratio_without_images(&self) -> Option<f64> {
        let [raw, stored] = [self.raw_bytes - self.images_raw_bytes, self.stored_bytes - self.images_stored_bytes];
        self.ratio().and(quotient(raw, stored))
    }

    /// How many are recomputed, if any are.
    pub fn recomputed(&self) -> Option<String> {
        let all = self.kept + self.recomputed;
        (self.recomputed > 0).then(|| format!("{} of the {all} values that convolutions read", self.recomputed))
    }
}

fn quotient(raw: u64, stored: u64) -> Option<f64> {
    (stored > 0).then(|| raw as f64 / stored as f64)
}
