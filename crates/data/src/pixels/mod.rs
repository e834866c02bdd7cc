//! Single images: what a file is, decoding, cutting, resizing. Pixels stand plane by plane: C × H × W.
//!
//! ```text
//! file ─▶ layout (is it whole?) ─▶ header (size, orientation, limits) ─▶ decode ─▶ turn ─▶ grey or colour ─▶ resize
//! ```

pub(crate) mod header;
mod layout;
mod resize;

use std::borrow::Cow;
use std::io::{BufRead, Cursor, Seek};
use std::path::PathBuf;
use std::sync::Arc;

use image::{DynamicImage, RgbImage};

use super::{DataError, Orientation};
use crate::guard::guarded;
use header::{Header, MOST_BYTES};
pub(super) use resize::{Rect, fit};

/// The endings of files that are taken for pictures.
pub(super) const ENDINGS: &[&str] =
    &["png", "jpg", "jpeg", "jfif", "webp", "bmp", "tif", "tiff", "gif", "pbm", "pgm", "ppm", "pnm", "pam"];

/// An image that waits encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Encoded {
    /// In a file of its own.
    File(PathBuf),
    /// In a file with others, which was read.
    #[cfg_attr(not(feature = "parquet"), allow(dead_code, reason = "only Parquet files hold many"))]
    Bytes {
        /// For messages: the file, and where in it.
        name: String,
        bytes: Arc<[u8]>,
    },
}

/// An image in its own size.
#[derive(Debug)]
pub(super) struct Picture<'a> {
    pub height: usize,
    pub width: usize,
    pub bytes: Cow<'a, [u8]>,
}

impl Encoded {
    fn bytes(&self) -> Result<Cow<'_, [u8]>, DataError> {
        match self {
            Encoded::File(path) => {
                Ok(Cow::Owned(crate::input::read(path, MOST_BYTES).map_err(DataError::io("read", path))?))
            }
            Encoded::Bytes { bytes, .. } => Ok(Cow::Borrowed(bytes)),
        }
    }

    /// What to call it in messages.
    pub fn name(&self) -> String {
        match self {
            Encoded::File(path) => path.display().to_string(),
            Encoded::Bytes { name, .. } => name.clone(),
        }
    }

    fn broken(&self, what: impl ToString) -> DataError {
        DataError::Image { file: self.name(), what: what.to_string() }
    }

    /// All pixels, as grey (1 channel) or colour (3 channels).
    pub fn decode(&self, channels: usize, orientation: Orientation) -> Result<Picture<'static>, DataError> {
        let bytes = self.bytes()?;
        let decoded = contained(|| {
            let (header, decoder) = header::open(Cursor::new(&*bytes), bytes.len() as u64, true)?;
            Ok((header, DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?))
        });
        let (header, image) = decoded.map_err(|error| self.broken(error))?;
        drop(bytes);
        // Eight bits and no alpha, so that turning and planes take no more than they must.
        let mut image = match image.color().has_color() {
            true => DynamicImage::ImageRgb8(image.into_rgb8()),
            false => DynamicImage::ImageLuma8(image.into_luma8()),
        };
        if orientation == Orientation::Exif {
            image.apply_orientation(header.orientation);
        }
        let [height, width] = extents(&header, orientation);
        let bytes = match (image, channels) {
            (DynamicImage::ImageRgb8(image), 1) => image.pixels().map(|pixel| luma(pixel.0)).collect(),
            (DynamicImage::ImageRgb8(image), _) => planes(&image),
            (image, 1) => image.into_bytes(),
            (image, _) => image.as_bytes().repeat(3),
        };
        Ok(Picture { height, width, bytes: Cow::Owned(bytes) })
    }
}

/// Height and width of a file of `length` bytes that is whole and within the limits, from its header and its end.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn size(source: impl BufRead + Seek, length: u64, orientation: Orientation) -> Result<[usize; 2], String> {
    Ok(extents(&contained(|| Ok(header::open(source, length, false)?.0))?, orientation))
}

/// Decoders have defects of their own, which hostile files find.
fn contained<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    guarded(work).unwrap_or_else(|panic| Err(format!("its decoder fails on it: {panic}")))
}

fn extents(header: &Header, orientation: Orientation) -> [usize; 2] {
    match orientation {
        Orientation::Exif => header.upright(),
        Orientation::Ignore => header.size,
    }
}

/// Grey as ITU-R BT.601 has it, rounded as PIL rounds it.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((19595 * u32::from(r) + 38470 * u32::from(g) + 7471 * u32::from(b) + (1 << 15)) >> 16) as u8
}

/// One channel after the other.
fn planes(image: &RgbImage) -> Vec<u8> {
    let (pixels, count) = (image.as_raw(), image.as_raw().len() / 3);
    let mut planes = Vec::with_capacity(3 * count);
    (0..3).for_each(|channel| planes.extend(pixels[channel..].iter().step_by(3)));
    planes
}

#[cfg(test)]
mod tests;
