//! The data room from outside: files of every kind of badness, and the sets themselves.
//!
//! What needs the large sets is checked where they are present and skipped where they are not.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use frugal_data::cifar::{self, Form};
use frugal_data::{self, DataError, Orientation, Share, Split, idx};
use proptest::prelude::*;

// ---- files -----------------------------------------------------------------------------------------------------------

/// Bytes of a record of CIFAR-10.
const TEN: usize = Form::Ten.record();

fn idx_bytes(dims: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    bytes.extend(dims.iter().flat_map(|dim| dim.to_be_bytes()));
    bytes.extend(values);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The offset and the text of an error that must be about the format of `file`.
fn format_error<T: std::fmt::Debug>(result: Result<T, DataError>) -> (u64, String) {
    match result {
        Err(DataError::Format { file, offset, what }) => {
            assert!(file.starts_with("some-file"), "{file}");
            (offset, what)
        }
        other => panic!("expected a format error, got {other:?}"),
    }
}

fn read_idx(bytes: &[u8]) -> Result<idx::Idx, DataError> {
    idx::read("some-file", bytes, 1 << 20)
}

proptest! {
    #[test]
    fn idx_survives_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_idx(&bytes);
        let _ = read_idx(&gzip(&bytes));
        let _ = idx::read("some-file", &bytes[..], u64::MAX);
    }

    /// Random bytes seldom get past the first four; these do.
    #[test]
    fn idx_survives_any_header(
        kind in prop_oneof![Just(8u8), any::<u8>()],
        rank in 0u8..6,
        rest in prop::collection::vec(prop_oneof![Just(0u8), Just(1), any::<u8>()], 0..60),
        zipped: bool,
    ) {
        let mut bytes = vec![0, 0, kind, rank];
        bytes.extend(rest);
        let bytes = if zipped { gzip(&bytes) } else { bytes };
        if let Ok(idx) = idx::read("some-file", &bytes[..], u64::MAX) {
            prop_assert_eq!(idx.dims.iter().product::<usize>(), idx.values.len());
        }
    }

    #[test]
    fn idx_reads_what_was_written(
        (dims, values) in prop::collection::vec(0u32..8, 1..5).prop_flat_map(|dims| {
            let count = dims.iter().product::<u32>() as usize;
            (Just(dims), prop::collection::vec(any::<u8>(), count))
        }),
        zipped: bool,
    ) {
        let bytes = idx_bytes(&dims, &values);
        let idx = read_idx(&if zipped { gzip(&bytes) } else { bytes }).unwrap();
        prop_assert_eq!(idx.dims, dims.iter().map(|&dim| dim as usize).collect::<Vec<_>>());
        prop_assert_eq!(idx.values, values);
    }

    /// Some bits of gzip mean nothing (padding, the time in its header); all others are under its checksum.
    #[test]
    fn idx_notices_damage_in_gzip(at in 0usize..1000, bit in 0u8..8) {
        let values: Vec<u8> = (0..120).collect();
        let mut zipped = gzip(&idx_bytes(&[4, 5, 6], &values));
        let at = at % zipped.len();
        zipped[at] ^= 1 << bit;
        if let Ok(idx) = read_idx(&zipped) {
            prop_assert_eq!(idx.values, values);
        }
    }

    #[test]
    fn cifar_survives_any_bytes(bytes in prop::collection::vec(0u8..20, 0..8000), records in 0usize..4) {
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        let result = cifar::read(Form::Ten, "some-file", &bytes[..], records, &mut images, &mut labels);
        prop_assert_eq!(images.len(), labels.len() * cifar::PIXELS);
        prop_assert!(labels.len() <= records);
        if result.is_ok() {
            prop_assert_eq!(bytes.len(), records * TEN);
        }
    }
}

#[test]
fn idx_cut_anywhere_is_an_error_with_an_offset() {
    let whole = idx_bytes(&[3, 2, 2], &[7; 12]);
    for length in 0..whole.len() {
        let (offset, what) = format_error(read_idx(&whole[..length]));
        assert_eq!(offset, length as u64, "{what}");
    }
    let zipped = gzip(&whole);
    for length in 2..zipped.len() {
        format_error(read_idx(&zipped[..length]));
    }
}

#[test]
fn idx_says_what_is_wrong_and_where() {
    let good = idx_bytes(&[2, 2], &[1, 2, 3, 4]);
    let broken = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        format_error(read_idx(&bytes))
    };
    assert_eq!(broken(1, 1).0, 0);
    assert_eq!(broken(2, 13).0, 2);
    assert_eq!(broken(3, 0).0, 3);
    assert_eq!(broken(3, 5).0, 3);
    // Larger than the limit, smaller than the file, larger than the file.
    assert_eq!(broken(8, 255).0, 8);
    assert_eq!(broken(11, 1).0, 14);
    assert_eq!(broken(11, 3).0, 16);
}

#[test]
fn a_lying_header_takes_no_memory() {
    // 16 TiB announced, four bytes there: asking the system for it would end the process.
    let bytes = idx_bytes(&[1 << 22, 1 << 22], &[0; 4]);
    let (offset, _) = format_error(idx::read("some-file", &bytes[..], u64::MAX));
    assert_eq!(offset, 16);
    // More than 64 bits count.
    let bytes = idx_bytes(&[u32::MAX; 4], &[]);
    assert_eq!(format_error(idx::read("some-file", &bytes[..], u64::MAX)).0, 12);
    // The other way round: much there, little announced. It is not unpacked to see how much.
    let bomb = gzip(&idx_bytes(&[4], &vec![0; 256 << 20]));
    assert!(bomb.len() < 2 << 20);
    assert_eq!(format_error(read_idx(&bomb)).0, 12);
}

#[test]
fn splits_must_fit_together() {
    let images = idx_bytes(&[3, 2, 2], &[9; 12]);
    let read = |images: &[u8], labels: &[u8]| {
        idx::read_split(("some-file.i", images), ("some-file.l", labels), 3, [1, 2, 2], 10)
    };
    let split = read(&images, &gzip(&idx_bytes(&[3], &[0, 9, 5]))).unwrap();
    assert_eq!((split.len(), split.labels(), &*split.image(2).unwrap()), (3, &[0, 9, 5][..], &[9; 4][..]));

    assert_eq!(format_error(read(&images, &idx_bytes(&[2], &[0, 1]))).0, 4);
    assert_eq!(format_error(read(&images, &idx_bytes(&[4], &[0; 4]))).0, 4);
    assert_eq!(format_error(read(&images, &idx_bytes(&[3], &[0, 10, 0]))).0, 9);
    assert_eq!(format_error(read(&idx_bytes(&[3, 4, 1], &[9; 12]), &[])).0, 4);
    assert_eq!(format_error(read(&idx_bytes(&[12], &[9; 12]), &[])).0, 4);

    assert!(Split::new([1, 2, 2], 10, vec![0; 12], vec![0; 3]).is_ok());
    assert!(Split::new([1, 2, 2], 10, vec![0; 11], vec![0; 3]).is_err());
    assert!(Split::new([1, 0, 2], 10, vec![], vec![0; 3]).is_err());
    assert!(Split::new([usize::MAX, 2, 2], 10, vec![0; 12], vec![0; 3]).is_err());
    assert!(Split::new([1, 2, 2], 3, vec![0; 12], vec![0, 3, 0]).is_err());
}

#[test]
fn cifar_says_what_is_wrong_and_where() {
    let mut bytes: Vec<u8> = (0..2 * TEN).map(|at| at as u8).collect();
    (bytes[0], bytes[TEN]) = (3, 9);
    let read = |bytes: &[u8]| {
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        cifar::read(Form::Ten, "some-file", bytes, 2, &mut images, &mut labels).map(|()| (images, labels))
    };
    let (images, labels) = read(&bytes).unwrap();
    assert_eq!((labels, images[0], images[cifar::PIXELS]), (vec![3, 9], 1, bytes[TEN + 1]));
    assert_eq!(format_error(read(&bytes[..4000])).0, 4000);
    assert_eq!(format_error(read(&[&bytes[..], &[0]].concat())).0, 2 * TEN as u64);
    bytes[TEN] = 10;
    assert_eq!(format_error(read(&bytes)).0, TEN as u64);
}

/// The class is the second byte of a record.
#[test]
fn cifar_100_has_two_labels() {
    let record = |superclass: u8, class: u8| [vec![superclass, class], vec![class; cifar::PIXELS]].concat();
    let read = |bytes: &[u8]| {
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        cifar::read(Form::Hundred, "some-file", bytes, 2, &mut images, &mut labels).map(|()| (images, labels))
    };
    let (images, labels) = read(&[record(200, 99), record(0, 7)].concat()).unwrap();
    assert_eq!((labels, images.len(), images[0], images[cifar::PIXELS]), (vec![99, 7], 2 * cifar::PIXELS, 99, 7));
    assert_eq!(format_error(read(&[record(0, 7), record(0, 100)].concat())).0, 3074 + 1);
    assert_eq!(format_error(read(&record(0, 7))).0, 3074);
    // A whole set, of noise, from a folder.
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("cifar100")).unwrap();
    let file = |samples: usize| (0..samples).flat_map(|at| record(3, (at % 100) as u8)).collect::<Vec<u8>>();
    std::fs::write(root.path().join("cifar100/train.bin"), file(50_000)).unwrap();
    std::fs::write(root.path().join("cifar100/test.bin"), file(10_000)).unwrap();
    let set = frugal_data::open("cifar100", root.path()).unwrap();
    assert_eq!(
        (set.train.len(), set.test.len(), set.classes, set.class_names[99].as_str()),
        (50_000, 10_000, 100, "worm")
    );
    assert!(set.test.labels()[..100].iter().enumerate().all(|(at, &label)| at as u32 == label));
    assert!(frugal_data::catalogue(root.path()).iter().any(|entry| entry.name == "cifar100" && entry.present));
}

// ---- sets ------------------------------------------------------------------------------------------------------------

/// Counts, labels, and mean and deviation of a set against its description.
fn check_set(name: &str, root: &Path, tolerance: f64) {
    let set = frugal_data::open(name, root).unwrap();
    let entry = frugal_data::catalogue(root).into_iter().find(|entry| entry.name == name).unwrap();
    assert_eq!((set.train.len(), set.test.len()), (entry.train, entry.test));
    assert_eq!((set.shape, set.classes), (entry.shape, entry.classes));
    assert_eq!(set.class_names.len(), set.classes);
    for split in [&set.train, &set.test] {
        let mut counts = vec![0; set.classes];
        split.labels().iter().for_each(|&label| counts[label as usize] += 1);
        let fair = split.len() / set.classes;
        assert!(counts.iter().all(|count| (fair * 4 / 5..=fair * 6 / 5).contains(count)), "{counts:?}");
    }
    check_pixels(&set, tolerance);
}

fn check_pixels(set: &frugal_data::Dataset, tolerance: f64) {
    let (name, plane) = (&set.name, set.shape[1] * set.shape[2]);
    for channel in 0..set.shape[0] {
        let (mut sum, mut squares) = (0u64, 0u64);
        for image in (0..set.train.len()).map(|index| set.train.image(index).unwrap()) {
            for &byte in &image[channel * plane..][..plane] {
                sum += u64::from(byte);
                squares += u64::from(byte).pow(2);
            }
        }
        let count = (set.train.len() * plane) as f64;
        let mean = sum as f64 / count / 255.0;
        let std = (squares as f64 / count / 255.0 / 255.0 - mean * mean).sqrt();
        assert!((mean - f64::from(set.mean[channel])).abs() < tolerance, "{name}: mean {mean}");
        assert!((std - f64::from(set.std[channel])).abs() < tolerance, "{name}: deviation {std}");
    }
}

#[test]
fn embedded_sets_need_no_files() {
    let nowhere = Path::new("there is no such folder");
    check_set("digits", nowhere, 1e-5);
    // Normalised like the full set, so only nearly like itself.
    check_set("fashion-mnist-small", nowhere, 2e-3);
    let set = frugal_data::open("fashion-mnist-small", nowhere).unwrap();
    for class in 0..10 {
        let count = |split: &Split| split.labels().iter().filter(|&&label| label == class).count();
        assert_eq!((count(&set.train), count(&set.test)), (200, 50));
    }
    assert_eq!(frugal_data::get("digits", nowhere, |_| ()).unwrap(), frugal_data::Got::Embedded);
    assert!(!nowhere.exists());
}

#[test]
fn noise_is_what_the_table_says_and_always_the_same() {
    let nowhere = Path::new("there is no such folder");
    let open = || frugal_data::open("synthetic-imagenet", nowhere).unwrap();
    let set = open();
    let entry = frugal_data::catalogue(nowhere).into_iter().find(|entry| entry.name == set.name).unwrap();
    assert!(entry.present && entry.bytes == 0);
    assert_eq!((set.train.len(), set.test.len(), set.classes), (entry.train, entry.test, 1000));
    assert_eq!(set.shape, [3, 224, 224]);
    check_pixels(&set, 1e-3);
    assert_eq!(set.train, open().train);
    assert_ne!(set.train.image(0).unwrap(), set.test.image(0).unwrap());
}

#[test]
fn full_sets_are_what_the_table_says() {
    let root = frugal_data::default_root();
    for entry in frugal_data::catalogue(&root).into_iter().filter(|entry| !entry.embedded) {
        if entry.present {
            check_set(entry.name, &root, 1e-5);
        } else {
            println!("skipped: {} is not under {}", entry.name, root.display());
        }
    }
}

#[test]
fn missing_and_unknown_sets_say_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    assert!(frugal_data::catalogue(root.path()).iter().all(|entry| entry.present == entry.embedded));
    let text = frugal_data::open("mnist", root.path()).unwrap_err().to_string();
    assert!(text.contains("frugal data get mnist") && text.contains("train-labels-idx1-ubyte"), "{text}");
    let text = frugal_data::open("mnits", root.path()).unwrap_err().to_string();
    assert!(text.contains("cifar10, cifar100"), "{text}");
    // A damaged file is named with its place.
    let folder = root.path().join("mnist");
    std::fs::create_dir(&folder).unwrap();
    for file in
        ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte"]
    {
        std::fs::write(folder.join(file), idx_bytes(&[60_000, 28, 28], &[0; 100])).unwrap();
    }
    let text = frugal_data::open("mnist", root.path()).unwrap_err().to_string();
    assert!(text.contains("train-images-idx3-ubyte, byte 116"), "{text}");
}

#[test]
fn a_validation_set_is_held_out_by_the_seed() {
    let nowhere = Path::new("there is no such folder");
    let set = frugal_data::open("digits", nowhere).unwrap();
    let (whole, none) = set.parts(None, 1).unwrap();
    assert!(none.is_none() && whole == set.train);
    let parts = |share, seed| {
        let (train, validation) = set.parts(Some(share), seed).unwrap();
        (train, validation.unwrap())
    };
    let (train, validation) = parts(Share::Fraction(0.1), 1);
    assert_eq!((train.len(), validation.len()), (1437 - 144, 144));
    assert!(parts(Share::Count(144), 1) == (train.clone(), validation.clone()));
    assert!(parts(Share::Fraction(0.1), 2).1 != validation);
    // Together they are the whole: every image with its label as often as before.
    let samples = |splits: &[&Split]| {
        let of = |split: &Split| -> Vec<(Vec<u8>, u32)> {
            (0..split.len()).map(|at| (split.image(at).unwrap().to_vec(), split.labels()[at])).collect()
        };
        let mut all: Vec<_> = splits.iter().flat_map(|split| of(split)).collect();
        all.sort();
        all
    };
    assert!(samples(&[&train, &validation]) == samples(&[&set.train]));
    for share in [Share::Count(1437), Share::Count(9999), Share::Fraction(1e-9), Share::Fraction(0.99999)] {
        let text = set.parts(Some(share), 1).unwrap_err().to_string();
        assert!(text.contains("`data.validation` takes") && text.contains("1437"), "{text}");
    }
}

#[test]
fn pictures_have_one_or_three_channels() {
    let files = ["a.png".into()];
    assert_eq!(Split::pictures([3, 8, 8], &files, Orientation::Exif).unwrap().len(), 1);
    assert!(matches!(Split::pictures([2, 8, 8], &files, Orientation::Exif), Err(DataError::Invalid(_))));
}
