//! Augmentation: what chance does to training images, on the host, before they are uploaded.
//!
//! Each sample has a stream of random numbers of its own in each epoch, and each operation its own places in that stream:
//! the result depends on (seed, epoch, sample) alone, whatever the number of threads, and an operation that is switched on
//! changes nothing that the others draw. The order is always this:
//!
//! ```text
//! image ─▶ pad-crop or resized crop ─▶ flip ─▶ jitter ─▶ cutout ─▶ bytes
//!                                                └▶ (x / 255 - mean) / std ─▶ cutout ─▶ noise ─▶ mixup ─▶ floats
//! ```
//!
//! Images stay bytes unless they have noise or are mixed, or floats are asked for ([`Pixels`](crate::Pixels)). What cutout blanks has
//! the mean colour: 0 of normalised floats, and of bytes the ones next to it.
//!
//! Mixup alone looks beyond a sample: what it does follows from (seed, epoch, batch) and the batch's samples.

use rand_distr::{Beta, Distribution, StandardNormal};
use serde::Serialize;

use super::DataError;
use super::order::{Draws, Stream};
use super::pixels::{self, Picture, Rect};

/// What is done to training images; nothing, by default. Evaluation never sees any of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Augment {
    /// Pixels of black on each side, from which a part of the old size is cut (He et al., arXiv 1512.03385, use 4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pad_crop: Option<usize>,
    /// A part of the image with a size and proportions of chance, resized (Szegedy et al., arXiv 1409.4842).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resized_crop: Option<ResizedCrop>,
    /// Whether every other image is mirrored left to right.
    pub flip: bool,
    /// Changes of colour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Jitter>,
    /// The side of a square that is blanked, in pixels (DeVries and Taylor, arXiv 1708.04552, use 16 for CIFAR-10).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cutout: Option<usize>,
    /// α of the Beta(α, α) distribution of a batch's share λ, by which each sample is mixed with another, labels included
    /// (Zhang et al., arXiv 1710.09412, use 0.1 to 0.4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixup: Option<f64>,
}

/// The limits of a random resized crop.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ResizedCrop {
    /// Least and most share of the image's area.
    pub scale: [f64; 2],
    /// Least and most width over height.
    pub ratio: [f64; 2],
}

impl Default for ResizedCrop {
    fn default() -> Self {
        Self { scale: [0.08, 1.0], ratio: [3.0 / 4.0, 4.0 / 3.0] }
    }
}

/// By how much colours change: each factor is drawn from 1 - x to 1 + x, not below 0.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Jitter {
    /// Of the factor on all values.
    pub brightness: f64,
    /// Of the factor on the distance to the image's mean grey.
    pub contrast: f64,
    /// Of the factor on the distance to each pixel's grey; nothing on grey images.
    pub saturation: f64,
}

/// Where in a sample's stream the numbers of an operation stand. Part of what makes a run repeatable.
mod place {
    pub const CROP: u64 = 0;
    pub const FLIP: u64 = 2;
    pub const JITTER: u64 = 3;
    pub const CUTOUT: u64 = 6;
    /// And on: four for each attempt.
    pub const RESIZED_CROP: u64 = 16;
    /// And on: one or more for each value of an image.
    pub const NOISE: u64 = 1 << 32;
}

/// How often a resized crop is drawn again that does not fit into the image.
const ATTEMPTS: u64 = 10;

impl Augment {
    /// Whether images stay as they are.
    pub fn is_none(&self) -> bool {
        *self == Augment::default()
    }

    /// Whether it can be done to images of this shape.
    ///
    /// # Errors
    /// [`DataError::Invalid`] names the setting.
    pub fn check(&self, [_, height, width]: [usize; 3]) -> Result<(), DataError> {
        let least = height.min(width);
        let too_large = |name: &str, value: usize| {
            Err(DataError::Invalid(format!(
                "`data.augment.{name}` is {value}, too much for images of {height}×{width}: at most {least}"
            )))
        };
        match (self.pad_crop, self.cutout) {
            (Some(pad), _) if pad > least => too_large("pad_crop", pad),
            (_, Some(side)) if side > least => too_large("cutout", side),
            _ => Ok(()),
        }
    }

    /// What moves pixels, without what changes them: what is done to a target as to its image.
    pub(super) fn placement(&self) -> Augment {
        let Augment { pad_crop, ref resized_crop, flip, .. } = *self;
        Augment { pad_crop, resized_crop: *resized_crop, flip, ..Augment::default() }
    }

    /// All that is done to bytes: `picture` as it is to be trained on, in `bytes`, as `[height, width]` says.
    pub(super) fn apply(&self, picture: &Picture<'_>, size: [usize; 2], draws: Stream, bytes: &mut Vec<u8>) {
        bytes.clear();
        match self.resized_crop {
            Some(limits) => picture.resized(limits.draw(picture, draws), size, bytes),
            None => pixels::fit(picture, size, bytes),
        }
        let [height, width] = size;
        if let Some(pad) = self.pad_crop {
            let offset = |axis: u64| draws.below(place::CROP + axis, 2 * pad as u32 + 1) as isize - pad as isize;
            bytes.chunks_exact_mut(height * width).for_each(|plane| shift(plane, width, offset(0), offset(1)));
        }
        if self.flip && draws.draw(place::FLIP) >> 63 == 1 {
            bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
        }
        if let Some(jitter) = self.jitter {
            jitter.apply(bytes, height * width, draws);
        }
    }

    /// The rows and columns that cutout blanks: a square around a pixel of chance, without what is outside of the image.
    pub(super) fn hole(&self, [height, width]: [usize; 2], draws: Stream) -> Option<Rect> {
        let side = self.cutout?;
        let span = |axis: u64, extent: usize| {
            let centre = draws.below(place::CUTOUT + axis, extent as u32) as usize;
            let start = centre.saturating_sub(side / 2);
            // An even square reaches further to the left.
            (start, (centre + side - side / 2).min(extent) - start)
        };
        let ((top, rows), (left, columns)) = (span(0, height), span(1, width));
        Some(Rect { top, left, height: rows, width: columns })
    }
}

/// Adds normal noise of this deviation.
pub(super) fn add_noise(values: &mut [f32], deviation: f64, draws: &mut Draws) {
    for value in values {
        let normal: f64 = StandardNormal.sample(draws);
        *value += (deviation * normal) as f32;
    }
}

/// The draws of a sample's noise.
pub(super) fn noise(draws: Stream) -> Draws {
    Draws::new(draws, place::NOISE)
}

/// The share that a sample keeps when it is mixed with another: drawn from Beta(α, α) by the stream of the batch.
pub(super) fn mixing_share(alpha: f64, draws: Stream) -> f32 {
    let beta = Beta::new(alpha, alpha).expect("a config takes no α that is not above 0");
    beta.sample(&mut Draws::new(draws, 0)) as f32
}

/// Mixes each of the first `samples` rows of so many elements with the row after it, the last one with the first: each
/// keeps `share` of itself.
pub(super) fn mix(rows: &mut [f32], elements: usize, samples: usize, share: f32) {
    let rows = &mut rows[..samples * elements];
    let Some(first) = rows.get(..elements).map(<[f32]>::to_vec) else { return };
    for at in 0..rows.len() {
        // The row after has not been mixed yet; the first one has.
        let other = rows.get(at + elements).copied().unwrap_or_else(|| first[at % elements]);
        rows[at] = share * rows[at] + (1.0 - share) * other;
    }
}

impl ResizedCrop {
    /// As torchvision draws it: ten attempts at a part that fits, then the largest in the middle.
    fn draw(self, picture: &Picture<'_>, draws: Stream) -> Rect {
        let (height, width) = (picture.height, picture.width);
        for attempt in 0..ATTEMPTS {
            let at = place::RESIZED_CROP + 4 * attempt;
            let area = (height * width) as f64 * draws.between(at, self.scale);
            let ratio = draws.between(at + 1, self.ratio.map(f64::ln)).exp();
            let (w, h) = ((area * ratio).sqrt().round() as usize, (area / ratio).sqrt().round() as usize);
            if (1..=width).contains(&w) && (1..=height).contains(&h) {
                let top = draws.below(at + 2, (height - h + 1) as u32) as usize;
                let left = draws.below(at + 3, (width - w + 1) as u32) as usize;
                return Rect { top, left, height: h, width: w };
            }
        }
        let [least, most] = self.ratio;
        let ratio = (width as f64 / height as f64).clamp(least, most);
        let w = ((height as f64 * ratio).round() as usize).clamp(1, width);
        let h = ((width as f64 / ratio).round() as usize).clamp(1, height);
        Rect { top: (height - h) / 2, left: (width - w) / 2, height: h, width: w }
    }
}

impl Jitter {
    /// Brightness, contrast and saturation in this order, with values rounded between them as in a file.
    fn apply(self, bytes: &mut [u8], plane: usize, draws: Stream) {
        let factor = |at: u64, spread: f64| {
            (spread > 0.0).then(|| draws.between(place::JITTER + at, [(1.0 - spread).max(0.0), 1.0 + spread]) as f32)
        };
        if let Some(factor) = factor(0, self.brightness) {
            bytes.iter_mut().for_each(|byte| *byte = blend(*byte, 0.0, factor));
        }
        if let Some(factor) = factor(1, self.contrast) {
            let mean = (0..plane).map(|at| f64::from(grey(bytes, plane, at))).sum::<f64>() / plane as f64;
            bytes.iter_mut().for_each(|byte| *byte = blend(*byte, mean as f32, factor));
        }
        if let Some(factor) = factor(2, self.saturation)
            && bytes.len() == 3 * plane
        {
            for at in 0..plane {
                let grey = grey(bytes, plane, at);
                for at in [at, at + plane, at + 2 * plane] {
                    bytes[at] = blend(bytes[at], grey, factor);
                }
            }
        }
    }
}

/// `factor` times as far from `base`.
fn blend(byte: u8, base: f32, factor: f32) -> u8 {
    // The cast keeps to 0 … 255.
    (base + (f32::from(byte) - base) * factor).round() as u8
}

/// The luma of a pixel (ITU-R BT.601).
fn grey(bytes: &[u8], plane: usize, at: usize) -> f32 {
    match bytes.len() / plane {
        3 => [0.299, 0.587, 0.114].iter().zip([0, plane, 2 * plane]).map(|(w, p)| w * f32::from(bytes[at + p])).sum(),
        _ => f32::from(bytes[at]),
    }
}

/// Moves what is in a plane up by `rows` and left by `columns`; what comes in is black.
fn shift(plane: &mut [u8], width: usize, rows: isize, columns: isize) {
    let height = plane.len() / width;
    let old = plane.to_vec();
    plane.fill(0);
    // Of the columns that stay inside: where they come from, and where they go.
    let (from, to) = (columns.max(0) as usize, (-columns).max(0) as usize);
    let kept = width.saturating_sub(columns.unsigned_abs());
    for (row, line) in plane.chunks_exact_mut(width).enumerate() {
        if let Some(source) = row.checked_add_signed(rows).filter(|&source| source < height) {
            line[to..to + kept].copy_from_slice(&old[source * width + from..][..kept]);
        }
    }
}

#[cfg(test)]
mod tests;
