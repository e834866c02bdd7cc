//! A picture file as a net sees it: as many channels, as high and as wide, normalised.

use super::DataError;
use image::imageops::FilterType;
use std::path::Path;

/// Reads a PNG or JPEG file, stretches it to height and width (by averages where it is larger), turns it grey if the net
/// has one channel, and normalises it: C×H×W.
///
/// # Errors
/// [`DataError::Invalid`] if it is no picture, or the net has neither one nor three channels; [`DataError::Io`].
pub fn picture(path: &Path, shape: [usize; 3], mean: &[f32], std: &[f32]) -> Result<Vec<f32>, DataError> {
    let refused = |reason: String| DataError::Invalid(format!("{}: {reason}", path.display()));
    let reader = image::ImageReader::open(path).map_err(DataError::io("open", path))?;
    let reader = reader.with_guessed_format().map_err(DataError::io("read", path))?;
    // The decoder has limits of its own on what a file may claim to be.
    let picture = reader.decode().map_err(|error| refused(error.to_string()))?;
    let [channels, height, width] = shape;
    let picture = match channels {
        1 => image::DynamicImage::from(picture.into_luma8()),
        3 => image::DynamicImage::from(picture.into_rgb8()),
        _ => return Err(refused(format!("a picture has one or three channels, but the net takes {channels}"))),
    };
    let picture = picture.resize_exact(width as u32, height as u32, FilterType::Triangle);
    let bytes = picture.as_bytes();
    let value = |channel: usize, pixel: usize| {
        (f32::from(bytes[pixel * channels + channel]) / 255.0 - mean[channel]) / std[channel]
    };
    Ok((0..channels).flat_map(|channel| (0..height * width).map(move |pixel| value(channel, pixel))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, Luma, Rgb, RgbImage};

    #[test]
    fn a_picture_of_the_right_size_comes_pixel_by_pixel() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        RgbImage::from_fn(3, 2, |x, y| Rgb([x as u8, y as u8, 255])).save(&path).unwrap();
        let values = picture(&path, [3, 2, 3], &[0.0, 0.0, 0.5], &[1.0 / 255.0, 1.0 / 255.0, 0.5]).unwrap();
        let wanted = [[0.0, 1.0, 2.0, 0.0, 1.0, 2.0], [0.0, 0.0, 0.0, 1.0, 1.0, 1.0], [1.0; 6]].concat();
        assert!(values.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-5), "{values:?}");
    }

    #[test]
    fn larger_ones_are_averaged_and_colours_turn_grey() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        // A checkerboard has the same grey everywhere, once it is small.
        GrayImage::from_fn(64, 64, |x, y| Luma([if (x + y) % 2 == 0 { 0 } else { 255 }])).save(&path).unwrap();
        let values = picture(&path, [1, 8, 8], &[0.0], &[1.0]).unwrap();
        assert_eq!(values.len(), 64);
        assert!(values.iter().all(|value| (value - 0.5).abs() < 0.02), "{values:?}");
        assert_eq!(picture(&path, [3, 4, 4], &[0.0; 3], &[1.0; 3]).unwrap().len(), 48);
        assert!(matches!(picture(&path, [2, 4, 4], &[0.0; 2], &[1.0; 2]), Err(DataError::Invalid(_))));
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        std::fs::write(&path, "not a picture").unwrap();
        assert!(matches!(picture(&path, [1, 8, 8], &[0.0], &[1.0]), Err(DataError::Invalid(_))));
        assert!(picture(&folder.path().join("b.png"), [1, 8, 8], &[0.0], &[1.0]).is_err());
    }
}
