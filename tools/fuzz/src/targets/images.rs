//! Pictures in every format that is read: changes to their headers, with checksums that are right, and to any byte.

use super::Target;
use crate::bytes;
use crate::random::Random;
use flate2::Crc;
use frugal_data::{Orientation, Split};
use frugal_trainer::Error;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use std::io::Cursor;
use std::path::Path;

pub const TARGET: Target = Target { name: "images", file: "picture", seeds, mutate, attempt };

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

fn seeds() -> Vec<Vec<u8>> {
    let colour = RgbImage::from_fn(9, 7, |x, y| Rgb([(x * 28) as u8, (y * 36) as u8, (x * y * 4) as u8]));
    let colour = DynamicImage::from(colour);
    let forms = [
        colour.clone(),
        colour.to_luma8().into(),
        colour.to_rgba8().into(),
        colour.to_luma16().into(),
        colour.to_rgb16().into(),
    ];
    let formats = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::WebP,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::Gif,
        ImageFormat::Pnm,
    ];
    let mut seeds = Vec::new();
    for form in &forms {
        for format in formats.into_iter().filter(|format| format.reading_enabled()) {
            let mut file = Cursor::new(Vec::new());
            // Not every format has every form.
            if form.write_to(&mut file, format).is_ok() {
                seeds.push(file.into_inner());
            }
        }
    }
    let mut coarse = Vec::new();
    colour.write_with_encoder(JpegEncoder::new_with_quality(&mut coarse, 5)).expect("a picture in memory");
    seeds.push(turned(&coarse));
    seeds
}

/// A JPEG with the mark of a picture that lies on its side.
fn turned(jpeg: &[u8]) -> Vec<u8> {
    let exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, exif, &jpeg[2..]].concat()
}

fn mutate(input: &[u8], donor: &[u8], random: &mut Random) -> Vec<u8> {
    if input.starts_with(SIGNATURE) && !random.once_in(3) {
        return png(input, donor, random);
    }
    if input.starts_with(&[0xff, 0xd8]) && !random.once_in(3) {
        return jpeg(input, donor, random);
    }
    bytes::mutate(input, donor, random)
}

/// Changes the chunks of a PNG; their checksums stay right.
fn png(input: &[u8], donor: &[u8], random: &mut Random) -> Vec<u8> {
    let mut chunks: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut rest = &input[SIGNATURE.len()..];
    while let Some(length) = rest.first_chunk::<4>().map(|length| u32::from_be_bytes(*length) as usize)
        && let Some(chunk) = rest.get(4..).and_then(|rest| rest.get(..length.checked_add(8)?))
    {
        chunks.push((chunk[..4].to_vec(), chunk[4..length + 4].to_vec()));
        rest = &rest[length + 12..];
    }
    for _ in 0..random.few(4) {
        let at = random.below(chunks.len());
        let kinds: [&[u8; 4]; 9] = [b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf", b"acTL", b"zTXt", b"iCCP"];
        match random.below(6) {
            0 if chunks.len() > 1 => drop(chunks.remove(at)),
            1 => chunks.insert(at, (random.pick(&kinds).to_vec(), donor[random.below(donor.len())..].to_vec())),
            2 if !chunks.is_empty() => chunks[at].0 = random.pick(&kinds).to_vec(),
            // Extents, depth and colours.
            3 | 4 if chunks.first().is_some_and(|(_, data)| data.len() >= 13) => {
                let side: u32 = random.pick(&[0, 1, 2, 7, 255, 32_768, 65_535, 0x7fff_ffff, u32::MAX]);
                let header = &mut chunks[0].1;
                match random.below(4) {
                    0 => header[..4].copy_from_slice(&side.to_be_bytes()),
                    1 => header[4..8].copy_from_slice(&side.to_be_bytes()),
                    2 => header[8] = random.pick(&[0, 1, 2, 4, 8, 16, 32]),
                    _ => header[9 + random.below(4)] = random.pick(&[0, 1, 2, 3, 4, 5, 6, 7, 255]),
                }
            }
            _ if !chunks.is_empty() => chunks[at].1 = bytes::mutate(&chunks[at].1, donor, random),
            _ => {}
        }
    }
    let mut file = SIGNATURE.to_vec();
    for (kind, data) in chunks {
        let mut crc = Crc::new();
        crc.update(&kind);
        crc.update(&data);
        file.extend((data.len() as u32).to_be_bytes());
        file.extend(kind);
        file.extend(data);
        file.extend(crc.sum().to_be_bytes());
    }
    file
}

/// Changes the segments of a JPEG before its first scan.
fn jpeg(input: &[u8], donor: &[u8], random: &mut Random) -> Vec<u8> {
    let mut segments: Vec<(u8, Vec<u8>)> = Vec::new();
    let mut at = 2;
    while let Some(&[0xff, kind, high, low]) = input.get(at..at + 4)
        && let Some(data) = input.get(at + 4..at + 2 + usize::from(u16::from_be_bytes([high, low])))
    {
        segments.push((kind, data.to_vec()));
        at += 4 + data.len();
        if kind == 0xda {
            break;
        }
    }
    let mut tail = input[at..].to_vec();
    for _ in 0..random.few(3) {
        let at = random.below(segments.len());
        match random.below(6) {
            0 if segments.len() > 1 => drop(segments.remove(at)),
            1 if !segments.is_empty() => segments.insert(at, segments[random.below(segments.len())].clone()),
            2 if !segments.is_empty() => {
                segments[at].0 = random.pick(&[0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xda, 0xdb, 0xdd, 0xe0, 0xe1, 0xee, 0xfe]);
            }
            // Height and width stand behind the depth.
            3 => {
                let frames = segments.iter_mut().filter(|(kind, data)| (0xc0..=0xc2).contains(kind) && data.len() > 5);
                let side: u16 = random.pick(&[0, 1, 8, 255, 32_768, 32_769, 65_535]);
                let from = 1 + 2 * random.below(2);
                frames.for_each(|(_, data)| data[from..from + 2].copy_from_slice(&side.to_be_bytes()));
            }
            4 => tail = bytes::mutate(&tail, donor, random),
            _ if !segments.is_empty() => segments[at].1 = bytes::mutate(&segments[at].1, donor, random),
            _ => {}
        }
    }
    let mut file = vec![0xff, 0xd8];
    for (kind, data) in segments {
        let length = (data.len() + 2).min(usize::from(u16::MAX)) as u16;
        file.extend([0xff, kind]);
        file.extend(length.to_be_bytes());
        file.extend(data);
    }
    file.extend(tail);
    file
}

fn attempt(path: &Path) -> Result<(), Error> {
    for shape in [[1, 6, 5], [3, 7, 9]] {
        let split = Split::pictures(shape, &[path.to_path_buf()], Orientation::Exif)?;
        let image = split.image(0)?;
        assert!(image.len() == split.sample_len(), "a picture is brought to the set's shape");
    }
    Ok(())
}
