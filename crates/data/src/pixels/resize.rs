//! Cutting and resizing.

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma};

use super::Picture;

/// How much of an image's extent an evaluation looks at where the image has to be resized: 224 of 256, as ImageNet's
/// results are reported.
const CENTRE: f64 = 0.875;

/// A part of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rect {
    pub top: usize,
    pub left: usize,
    pub height: usize,
    pub width: usize,
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
pub(crate) fn fit(picture: &Picture<'_>, size: [usize; 2], out: &mut Vec<u8>) {
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
}
