//! The binary forms of published sets: IDX, plain or gzipped, and CIFAR.

use super::Target;
use crate::bytes;
use crate::random::Random;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use frugal_data::cifar::{self, Form};
use frugal_data::idx;
use frugal_trainer::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

pub const IDX: Target =
    Target { name: "idx", file: "images-idx3-ubyte", seeds: idx_seeds, mutate, attempt: attempt_idx };
pub const CIFAR: Target =
    Target { name: "cifar", file: "data_batch_1.bin", seeds: cifar_seeds, mutate, attempt: attempt_cifar };

/// The most values that are asked for.
const LIMIT: u64 = 1 << 20;
/// Records of a file of CIFAR.
const RECORDS: usize = 2;

fn idx_seeds() -> Vec<Vec<u8>> {
    let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4][..], &[7; 24]].concat();
    let labels = [&[0, 0, 8, 1, 0, 0, 0, 5][..], &[0, 1, 2, 3, 4]].concat();
    vec![zipped(&images), images, labels]
}

fn cifar_seeds() -> Vec<Vec<u8>> {
    let record = [&[9][..], &[128; cifar::PIXELS]].concat();
    let file = record.repeat(RECORDS);
    vec![zipped(&file), file]
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut file = GzEncoder::new(Vec::new(), Compression::fast());
    file.write_all(bytes).expect("memory takes all");
    file.finish().expect("memory takes all")
}

/// What is zipped is changed within or without, and what is not may become so.
fn mutate(input: &[u8], donor: &[u8], random: &mut Random) -> Vec<u8> {
    if random.once_in(3) {
        return bytes::mutate(input, donor, random);
    }
    let mut whole = Vec::new();
    let inner = match MultiGzDecoder::new(input).take(1 << 20).read_to_end(&mut whole) {
        Ok(_) => &whole[..],
        Err(_) => input,
    };
    let changed = bytes::mutate(inner, donor, random);
    if random.once_in(3) { zipped(&changed) } else { changed }
}

fn attempt_idx(path: &Path) -> Result<(), Error> {
    let idx = idx::read("images", File::open(path).expect("just written"), LIMIT)?;
    assert!(idx.dims.iter().product::<usize>() == idx.values.len(), "as many values as the dimensions say");
    Ok(())
}

fn attempt_cifar(path: &Path) -> Result<(), Error> {
    for form in [Form::Ten, Form::Hundred] {
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        let read =
            cifar::read(form, "batch", File::open(path).expect("just written"), RECORDS, &mut images, &mut labels);
        assert!(images.len() == labels.len() * cifar::PIXELS, "a label for each image");
        // A file is of one of the two.
        if form == Form::Ten {
            read?;
        }
    }
    Ok(())
}
