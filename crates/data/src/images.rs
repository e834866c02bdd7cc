//! Images as arrays: cut and coloured by chance, as bytes; or also normalised, noised and mixed.

use std::borrow::Cow;
use std::sync::Arc;

use crate::arrays::{Array, ArraySource, ArraySpec, Chunk, ElementType, IMAGES, LABELS, TARGETS};
use crate::order::Stream;
use crate::pixels::Rect;
use crate::{Augment, DataError, Goal, LoaderOptions, Pixels, Split, augment};

/// The samples of a split as a net sees them. Arrays: [`IMAGES`], [`LABELS`] (of mixed samples that of the one that the image began as),
/// and where samples are mixed [`TARGETS`] with the share of each class, or where images are to be made [`TARGETS`] with those,
/// from 0 to 1 or as bytes.
#[derive(Debug)]
pub(crate) struct Images {
    split: Arc<Split>,
    arrays: Vec<ArraySpec>,
    pixels: Pixels,
    /// The byte next to the mean, for each channel.
    mean: Vec<u8>,
    /// What each byte becomes, for each channel: the whole normalisation is one look-up.
    table: Arc<[[f32; 256]]>,
    augment: Augment,
    goal: Goal,
    /// The deviation of the noise on each channel, normalised as the channel is; empty for none.
    noise: Vec<f64>,
    /// What chance is keyed by, besides epoch and sample.
    seed: u64,
}

impl Images {
    /// Checks the options against the split.
    pub fn new(split: Arc<Split>, options: &LoaderOptions) -> Result<Images, DataError> {
        let shape = split.shape();
        let [channels, ..] = shape;
        options.augment.check(shape)?;
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
        let pixels = options.handed_out();
        let element = if pixels == Pixels::Bytes { ElementType::U8 } else { ElementType::F32 };
        let mut arrays = vec![ArraySpec::new(IMAGES, element, shape), ArraySpec::new(LABELS, ElementType::U32, [])];
        match options.goal {
            Goal::Images => arrays.push(ArraySpec::new(TARGETS, element, shape)),
            Goal::Classes(classes) if options.augment.mixup.is_some() => {
                arrays.push(ArraySpec::new(TARGETS, ElementType::F32, [classes]));
            }
            Goal::Classes(_) => {}
        }
        let table = options.mean.iter().zip(&options.std);
        let table = table.map(|(mean, std)| std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / std)).collect();
        Ok(Images {
            split,
            arrays,
            pixels,
            // The cast keeps to 0 … 255.
            mean: options.mean.iter().map(|mean| (255.0 * mean).round() as u8).collect(),
            table,
            augment: options.augment.clone(),
            goal: options.goal,
            noise: match options.noise > 0.0 {
                true => options.std.iter().map(|&std| options.noise / f64::from(std)).collect(),
                false => Vec::new(),
            },
            seed: options.shuffle.unwrap_or(0),
        })
    }

    /// Mixes the samples of a batch, images and labels alike.
    fn mix(&self, chunk: Chunk<'_>, arrays: &mut [Array], classes: usize, alpha: f64) {
        let draws = Stream::of_batch(self.seed, chunk.epoch, chunk.batch as u64);
        let (share, samples) = (augment::mixing_share(alpha, draws), chunk.samples.len());
        let [images, labels, targets] = arrays else { unreachable!("mixed samples have targets") };
        let targets = targets.f32s();
        targets.resize(samples * classes, 0.0);
        for (row, &label) in labels.u32s().iter().enumerate() {
            targets[row * classes + label as usize] = 1.0;
        }
        augment::mix(images.f32s(), self.split.sample_len(), samples, share);
        augment::mix(targets, classes, samples, share);
    }

    /// Adds the image that is to be made of a sample: cut and mirrored as the sample's, and otherwise as it is. `bytes` is for use in
    /// between.
    fn add_target(
        &self,
        draws: Stream,
        sample: usize,
        bytes: &mut Vec<u8>,
        targets: &mut Array,
    ) -> Result<(), DataError> {
        let [_, height, width] = self.split.shape();
        self.augment.placement().apply(&self.split.target(sample)?, [height, width], draws, bytes);
        match self.pixels {
            Pixels::Bytes => targets.u8s().extend_from_slice(bytes),
            Pixels::Normalised => targets.f32s().extend(bytes.iter().map(|&byte| f32::from(byte) / 255.0)),
        }
        Ok(())
    }

    /// Adds one sample's image; `bytes` is for use in between.
    fn add(&self, draws: Stream, sample: usize, bytes: &mut Vec<u8>, images: &mut Array) -> Result<(), DataError> {
        let [_, height, width] = self.split.shape();
        let image = match self.augment.is_none() {
            true => self.split.image(sample)?,
            false => {
                self.augment.apply(&self.split.picture(sample)?, [height, width], draws, bytes);
                Cow::Borrowed(bytes.as_slice())
            }
        };
        let hole = self.augment.hole([height, width], draws);
        match self.pixels {
            Pixels::Bytes => {
                let images = images.u8s();
                let begin = images.len();
                images.extend_from_slice(&image);
                for (plane, &mean) in images[begin..].chunks_exact_mut(height * width).zip(&self.mean) {
                    blank(plane, width, hole, mean);
                }
            }
            Pixels::Normalised => {
                let images = images.f32s();
                let begin = images.len();
                for (plane, table) in image.chunks_exact(height * width).zip(&*self.table) {
                    images.extend(plane.iter().map(|&byte| table[usize::from(byte)]));
                }
                for plane in images[begin..].chunks_exact_mut(height * width) {
                    // After normalisation 0 is the mean colour.
                    blank(plane, width, hole, 0.0);
                }
                let mut draws = augment::noise(draws);
                for (plane, &deviation) in images[begin..].chunks_exact_mut(height * width).zip(&self.noise) {
                    augment::add_noise(plane, deviation, &mut draws);
                }
            }
        }
        Ok(())
    }
}

/// Gives all that lies in a hole of a plane one colour.
fn blank<T: Copy>(plane: &mut [T], width: usize, hole: Option<Rect>, colour: T) {
    let Some(Rect { top, left, height, width: columns }) = hole else { return };
    for row in top..top + height {
        plane[row * width + left..][..columns].fill(colour);
    }
}

impl ArraySource for Images {
    fn samples(&self) -> usize {
        self.split.len()
    }

    fn arrays(&self) -> &[ArraySpec] {
        &self.arrays
    }

    fn read(&self, chunk: Chunk<'_>, arrays: &mut [Array]) -> Result<(), DataError> {
        let mut bytes = Vec::new();
        for &sample in chunk.samples {
            let draws = Stream::of_sample(self.seed, chunk.epoch, sample.into());
            let sample = sample as usize;
            self.add(draws, sample, &mut bytes, &mut arrays[0])?;
            arrays[1].u32s().push(self.split.labels()[sample]);
            if self.goal == Goal::Images {
                self.add_target(draws, sample, &mut bytes, &mut arrays[2])?;
            }
        }
        if let (Goal::Classes(classes), Some(alpha)) = (self.goal, self.augment.mixup) {
            self.mix(chunk, arrays, classes, alpha);
        }
        Ok(())
    }
}
