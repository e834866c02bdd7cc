//! Images of a net as files.

use frugal_report::pictures::encode_png;

/// A PNG of C×H×W values from 0 (black) to 1 (white); none unless there are one or three channels.
pub fn png(planes: &[f32], [channels, height, width]: [usize; 3]) -> Option<Vec<u8>> {
    if ![1, 3].contains(&channels) {
        return None;
    }
    let byte = |value: f32| (255.0 * value).round().clamp(0.0, 255.0) as u8;
    let pixels = (0..height * width).flat_map(|pixel| (0..channels).map(move |channel| (pixel, channel)));
    let bytes: Vec<u8> = pixels.map(|(pixel, channel)| byte(planes[channel * height * width + pixel])).collect();
    Some(encode_png(&bytes, [height, width], channels == 3))
}

/// Images of one shape side by side, as C×H×(n·W).
pub(crate) fn beside(images: &[&[f32]], width: usize) -> Vec<f32> {
    let rows = images.first().map_or(0, |image| image.len() / width);
    (0..rows).flat_map(|row| images.iter().flat_map(move |image| &image[row * width..][..width])).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_keep_their_places() {
        let (a, b) = ([0.0, 0.2, 0.4, 0.6], [1.0, 0.8, -1.0, 2.0]);
        let both = beside(&[&a, &b], 2);
        assert_eq!(both, [0.0, 0.2, 1.0, 0.8, 0.4, 0.6, -1.0, 2.0]);
        let picture = image::load_from_memory(&png(&both, [1, 2, 4]).unwrap()).unwrap().into_luma8();
        assert_eq!(picture.into_raw(), [0, 51, 255, 204, 102, 153, 0, 255]);
        let colours = image::load_from_memory(&png(&[1.0, 0.0, 0.2, 0.0, 0.0, 0.4], [3, 1, 2]).unwrap()).unwrap();
        assert_eq!(colours.into_rgb8().into_raw(), [255, 51, 0, 0, 0, 102]);
        assert!(png(&[0.0; 8], [2, 2, 2]).is_none());
    }
}
