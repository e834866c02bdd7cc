//! Sets in the forms that users bring: small ones that the usual libraries wrote (`tools/fixtures/own_sets.py`), and broken
//! ones, each with the words that say what is wrong.

mod folder;
mod npz;
mod parquet;

use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/own").join(name)
}

/// Pixel (c, y, x) of image n of the fixtures, 6×5.
fn pixels(n: usize, channels: usize) -> Vec<u8> {
    (0..channels * 30).map(|at| ((31 * n + 70 * (at / 30) + 5 * (at / 5 % 6) + 3 * (at % 5)) % 256) as u8).collect()
}

/// Whether a split holds these images of the fixtures.
fn holds(split: &Split, numbers: impl IntoIterator<Item = usize>) {
    let numbers: Vec<usize> = numbers.into_iter().collect();
    assert_eq!(split.len(), numbers.len());
    for (at, n) in numbers.into_iter().enumerate() {
        assert!(*split.image(at).unwrap() == pixels(n, split.shape()[0]), "image {n}");
        assert_eq!(split.labels()[at], n as u32 % 3);
    }
}

/// Opens a set to train on it, with pictures as they are.
fn open(path: &Path) -> Result<Dataset, DataError> {
    open_with(path, Frame::default())
}

fn open_with(path: &Path, frame: Frame) -> Result<Dataset, DataError> {
    super::open(path, frame, Purpose::Train)
}

/// Opens a set to evaluate a net that learned from another one.
fn evaluated(path: &Path) -> Result<Dataset, DataError> {
    super::open(path, Frame::default(), Purpose::Evaluate)
}

fn refusal(path: &Path, frame: Frame) -> String {
    match open_with(path, frame) {
        Err(error) => error.to_string(),
        Ok(set) => panic!("{} was taken for a set of {} samples", path.display(), set.train.len()),
    }
}

#[track_caller]
fn refused(name: &str, parts: &[&str]) {
    let text = refusal(&fixture(name), Frame::default());
    assert!(text.contains(name) && parts.iter().all(|part| text.contains(part)), "{text}");
}

/// A class and its images: number and size of each.
type Class<'a> = (&'a str, &'a [(usize, [u32; 2])]);

/// A folder with these images.
fn photos(classes: &[Class<'_>]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (class, images) in classes {
        fs::create_dir_all(root.path().join(class)).unwrap();
        for (n, [height, width]) in images.iter() {
            let image = image::RgbImage::from_fn(*width, *height, |x, y| {
                image::Rgb([0, 1, 2].map(|c| ((31 * n + 70 * c + 5 * y as usize + 3 * x as usize) % 256) as u8))
            });
            image.save(root.path().join(class).join(format!("{n}.png"))).unwrap();
        }
    }
    root
}

const ONE: [u32; 2] = [6, 5];

#[test]
fn mean_and_deviation_are_those_of_the_training_images() {
    let set = open(&fixture("keras.npz")).unwrap();
    for channel in 0..3 {
        let values = || (0..9).flat_map(|n| pixels(n, 3)[channel * 30..][..30].to_vec()).map(|x| f64::from(x) / 255.0);
        let mean = values().sum::<f64>() / 270.0;
        let std = (values().map(|x| (x - mean).powi(2)).sum::<f64>() / 270.0).sqrt();
        assert!((f64::from(set.mean[channel]) - mean).abs() < 1e-6 && (f64::from(set.std[channel]) - std).abs() < 1e-6);
    }
}

#[test]
fn a_set_without_a_test_part_is_evaluated_whole() {
    let root = photos(&[
        ("a", &[(0, ONE), (3, ONE), (6, ONE), (9, ONE), (12, ONE)]),
        ("b", &[(1, ONE), (4, ONE), (7, ONE), (10, ONE), (13, ONE)]),
    ]);
    for path in [root.path().to_path_buf(), fixture("planes.npz")] {
        let learned = open(&path).unwrap();
        let evaluated = evaluated(&path).unwrap();
        assert_eq!(evaluated.test.len(), learned.train.len() + learned.test.len());
        assert!(evaluated.train.is_empty() && evaluated.account.test.contains("all samples"));
        assert_eq!(learned.test.len(), evaluated.test.len() / 5);
    }
    // The set's own test part is what is evaluated.
    let [learned, evaluated] = [Purpose::Train, Purpose::Evaluate]
        .map(|purpose| super::open(&fixture("keras.npz"), Frame::default(), purpose).unwrap());
    assert!(learned.test == evaluated.test && learned.train == evaluated.train);
}

#[test]
fn what_a_config_means_by_a_set() {
    assert!(is_path("./photos") && is_path("/data/photos") && is_path("a.npz") && is_path("a.PARQUET"));
    assert!(!is_path("cifar10") && !is_path("photos"));
}
