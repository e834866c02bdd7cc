//! Single images: decoding, cutting, resizing. Pixels stand plane by plane: C × H × W.

use std::borrow::Cow;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;

use image::imageops::{self, FilterType};
use image::{ImageBuffer, ImageFormat, ImageReader, Limits, Luma};

use super::DataError;

/// How the names of files end that are taken for pictures. What is in a file decides how it is decoded.
pub(super) const ENDINGS: &[&str] =
    &["png", "jpg", "jpeg", "jfif", "webp", "bmp", "tif", "tiff", "gif", "pbm", "pgm", "ppm", "pnm", "pam"];
/// How much of an image's extent an evaluation looks at where the image has to be resized: 224 of 256, as ImageNet's
/// results are reported.
const CENTRE: f64 = 0.875;
/// No photo that a net is trained on is wider or higher.
const MOST_PIXELS_ASIDE: u32 = 32_768;
/// What decoding one image may allocate.
const MOST_BYTES: u64 = 1 << 30;

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

/// A part of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rect {
    pub top: usize,
    pub left: usize,
    pub height: usize,
    pub width: usize,
}

impl Encoded {
    fn bytes(&self) -> Result<Cow<'_, [u8]>, DataError> {
        match self {
            Encoded::File(path) => {
                Ok(Cow::Owned(crate::input::read(path, u64::MAX).map_err(DataError::io("read", path))?))
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

    fn broken(&self, error: impl ToString) -> DataError {
        DataError::Image { file: self.name(), what: error.to_string() }
    }

    /// Height and width, from the header alone.
    pub fn size(&self) -> Result<[usize; 2], DataError> {
        let bytes = self.bytes()?;
        let reader =
            ImageReader::new(Cursor::new(&*bytes)).with_guessed_format().map_err(|error| self.broken(error))?;
        let (width, height) = reader.into_dimensions().map_err(|error| self.broken(error))?;
        Ok([height as usize, width as usize])
    }

    /// All pixels, as grey (1 channel) or colour (3 channels).
    pub fn decode(&self, channels: usize) -> Result<Picture<'static>, DataError> {
        let bytes = self.bytes()?;
        // By content, not by ending: photos with the wrong ending are common.
        let mut reader =
            ImageReader::new(Cursor::new(&*bytes)).with_guessed_format().map_err(|error| self.broken(error))?;
        let mut limits = Limits::default();
        limits.max_image_width = Some(MOST_PIXELS_ASIDE);
        limits.max_image_height = Some(MOST_PIXELS_ASIDE);
        limits.max_alloc = Some(MOST_BYTES);
        reader.limits(limits);
        let is_jpeg = reader.format() == Some(ImageFormat::Jpeg);
        let image = reader.decode().map_err(|error| self.broken(error))?;
        // The decoder fills what is missing with grey, and a net would learn that.
        if is_jpeg && !ends(&bytes) {
            return Err(self.broken("the file ends within the image"));
        }
        let (height, width) = (image.height() as usize, image.width() as usize);
        let bytes = match channels {
            1 => image.into_luma8().into_raw(),
            _ => {
                let pixels = image.into_rgb8().into_raw();
                (0..3).flat_map(|channel| pixels.iter().skip(channel).step_by(3).copied()).collect()
            }
        };
        Ok(Picture { height, width, bytes: Cow::Owned(bytes) })
    }
}

/// Whether a JPEG file has its mark of the end: not that of a small image within its header, and whatever follows it.
fn ends(jpeg: &[u8]) -> bool {
    const SCAN: u8 = 0xda;
    const END: u8 = 0xd9;
    let mut at = 2;
    while let Some(&[mark, kind]) = jpeg.get(at..at + 2) {
        at += match (mark, kind) {
            (0xff, END) => return true,
            // Two bytes of length, which count themselves. Behind the header of a scan come its codes, in which a mark is
            // never followed by another kind than 0 (a code of 255) or 0xd0 … 0xd7 (a restart).
            (0xff, 0xc0..=0xcf | SCAN..=0xfe) => match jpeg.get(at + 2..at + 4) {
                Some(&[high, low]) => 2 + usize::from(high) * 256 + usize::from(low),
                _ => return false,
            },
            _ => 1,
        };
    }
    false
}

impl Picture<'_> {
    /// A part of the image, resized to `[height, width]` by a triangle filter that covers all pixels, appended to `out`.
    pub fn resized(&self, part: Rect, [height, width]: [usize; 2], out: &mut Vec<u8>) {
        for plane in self.bytes.chunks_exact(self.height * self.width) {
            let plane = ImageBuffer::<Luma<u8>, _>::from_raw(self.width as u32, self.height as u32, plane);
            let plane = plane.expect("a plane has height × width bytes");
            let Rect { top, left, height: h, width: w } = part;
            let part = imageops::crop_imm(&plane, left as u32, top as u32, w as u32, h as u32);
            let resized = imageops::resize(&*part, width as u32, height as u32, FilterType::Triangle);
            out.extend_from_slice(resized.as_raw());
        }
    }
}

/// An image as it is evaluated, appended to `out`: as it is if it has the wanted size, else its centre, resized.
pub(super) fn fit(picture: &Picture<'_>, size: [usize; 2], out: &mut Vec<u8>) {
    if [picture.height, picture.width] == size {
        out.extend_from_slice(&picture.bytes);
    } else {
        picture.resized(centre(picture, size), size, out);
    }
}

/// The centre of an image with the proportions of `size`, [`CENTRE`] of what would fit.
fn centre(picture: &Picture<'_>, [height, width]: [usize; 2]) -> Rect {
    let scale = (picture.height as f64 / height as f64).min(picture.width as f64 / width as f64);
    let extent = |wanted: usize, most: usize| ((wanted as f64 * scale * CENTRE).round() as usize).clamp(1, most);
    let (height, width) = (extent(height, picture.height), extent(width, picture.width));
    Rect { top: (picture.height - height) / 2, left: (picture.width - width) / 2, height, width }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(channels: usize, height: usize, width: usize) -> Picture<'static> {
        let bytes = (0..channels * height * width).map(|at| (at * 37 % 251) as u8).collect();
        Picture { height, width, bytes }
    }

    /// Area means where sizes divide: the triangle filter of a half covers two pixels to either side, so means of a
    /// plane that rises evenly are exact in the middle.
    #[test]
    fn resizing_looks_at_all_pixels() {
        let bytes: Vec<u8> = (0..16).flat_map(|y| (0..16).map(move |x| (8 * x + 4 * y) as u8)).collect();
        let ramp = Picture { height: 16, width: 16, bytes: bytes.into() };
        let mut out = Vec::new();
        ramp.resized(Rect { top: 0, left: 0, height: 16, width: 16 }, [4, 4], &mut out);
        for y in 1..3 {
            for x in 1..3 {
                let expected = 8.0 * (4 * x) as f64 + 4.0 * (4 * y) as f64 + 6.0 * 3.0;
                assert!((f64::from(out[y * 4 + x]) - expected).abs() <= 1.0, "{out:?}");
            }
        }
    }

    #[test]
    fn planes_stay_apart_and_parts_are_where_they_should_be() {
        let picture = picture(3, 7, 9);
        let (mut out, part) = (Vec::new(), Rect { top: 2, left: 3, height: 4, width: 5 });
        picture.resized(part, [4, 5], &mut out);
        let expected: Vec<u8> =
            (0..3 * 4 * 5).map(|at| picture.bytes[at / 20 * 63 + (at / 5 % 4 + 2) * 9 + at % 5 + 3]).collect();
        assert_eq!(out, expected);
        out.clear();
        fit(&picture, [7, 9], &mut out);
        assert_eq!(out, &*picture.bytes);
    }

    #[test]
    fn the_centre_is_in_the_middle_and_has_the_proportions() {
        assert_eq!(centre(&picture(1, 256, 256), [224, 224]), Rect { top: 16, left: 16, height: 224, width: 224 });
        assert_eq!(centre(&picture(1, 100, 400), [10, 20]), Rect { top: 6, left: 112, height: 88, width: 175 });
        assert_eq!(centre(&picture(1, 1, 1), [8, 8]), Rect { top: 0, left: 0, height: 1, width: 1 });
    }

    #[test]
    fn what_is_no_image_is_named() {
        let encoded = |bytes: &[u8]| Encoded::Bytes { name: "x.png".into(), bytes: bytes.into() };
        let mut png = Cursor::new(Vec::new());
        let pixels: Vec<u8> = (0..5 * 4 * 3).map(|at| at as u8 * 4).collect();
        let image = image::RgbImage::from_raw(5, 4, pixels.clone()).unwrap();
        image.write_to(&mut png, image::ImageFormat::Png).unwrap();
        let png = png.into_inner();
        let decoded = encoded(&png).decode(3).unwrap();
        assert_eq!((decoded.height, decoded.width), (4, 5));
        assert_eq!((decoded.bytes[1], decoded.bytes[20]), (pixels[3], pixels[1]));
        assert_eq!(encoded(&png).size().unwrap(), [4, 5]);
        assert_eq!(encoded(&png).decode(1).unwrap().bytes.len(), 20);
        for bytes in [&b""[..], b"not a picture", &png[..30], &png[..png.len() / 2]] {
            let error = encoded(bytes).decode(3).unwrap_err();
            assert!(matches!(&error, DataError::Image { file, .. } if file == "x.png"), "{error}");
        }
        // JPEG decoders like to fill what is missing with grey.
        let noise = image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([0, 1, 2].map(|c| (x * y * (7 + c)) as u8)));
        let mut jpeg = Cursor::new(Vec::new());
        noise.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
        let jpeg = jpeg.into_inner();
        encoded(&jpeg).decode(3).unwrap();
        // Cameras append things.
        encoded(&[&jpeg[..], &[0; 100]].concat()).decode(3).unwrap();
        for length in [jpeg.len() / 4, jpeg.len() / 2, jpeg.len() - 100, jpeg.len() - 2] {
            let error = encoded(&jpeg[..length]).decode(3).map(|_| length).unwrap_err();
            assert!(matches!(&error, DataError::Image { .. }), "{length}: {error}");
        }
        let nowhere = Encoded::File("there is no such file".into());
        assert!(matches!(nowhere.decode(3), Err(DataError::Io { .. })));
    }
}
