//! Sets in the forms that users bring: small ones that the usual libraries wrote (`tools/fixtures/own_sets.py`), and broken
//! ones, each with the words that say what is wrong.

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

fn refusal(path: &Path, frame: Frame) -> String {
    match open(path, frame, Purpose::Train) {
        Err(error) => error.to_string(),
        Ok(set) => panic!("{} was taken for a set of {} samples", path.display(), set.train.len()),
    }
}

#[track_caller]
fn refused(name: &str, parts: &[&str]) {
    let text = refusal(&fixture(name), Frame::default());
    assert!(text.contains(name) && parts.iter().all(|part| text.contains(part)), "{text}");
}

#[test]
fn archives_of_all_three_namings_are_read() {
    let set = open(&fixture("keras.npz"), Frame::default(), Purpose::Train).unwrap();
    assert_eq!((set.name.as_str(), set.shape, set.classes), ("keras", [3, 6, 5], 3));
    holds(&set.train, 0..9);
    holds(&set.test, 9..12);
    let set = open(&fixture("medmnist.npz"), Frame::default(), Purpose::Train).unwrap();
    assert_eq!(set.shape, [1, 6, 5]);
    holds(&set.train, 0..9);
    // Big-endian labels, planes first, and a fifth held out: the same one each time.
    let set = open(&fixture("planes.npz"), Frame::default(), Purpose::Train).unwrap();
    assert_eq!((set.shape, set.train.len(), set.test.len()), ([3, 6, 5], 16, 4));
    assert!(open(&fixture("planes.npz"), Frame::default(), Purpose::Train).unwrap().test == set.test);
    assert!((0..4).all(|at| (0..20).any(|n| *set.test.image(at).unwrap() == pixels(n, 3))));
}

#[test]
fn a_second_array_of_images_makes_pairs() {
    let set = open(&fixture("pairs.npz"), Frame::default(), Purpose::Train).unwrap();
    assert_eq!((set.shape, set.classes, set.train.len(), set.test.len()), ([3, 6, 5], 1, 9, 3));
    let (part, _) = set.train.divide(4, 1);
    for split in [&*set.train, &*set.test, &part] {
        assert!(split.is_paired());
        for at in 0..split.len() {
            let (image, target) = (split.image(at).unwrap(), split.target(at).unwrap());
            assert!(image.iter().zip(&*target.bytes).all(|(x, t)| x + t == 255));
        }
    }
    assert!(!open(&fixture("keras.npz"), Frame::default(), Purpose::Train).unwrap().train.is_paired());
}

#[test]
fn mean_and_deviation_are_those_of_the_training_images() {
    let set = open(&fixture("keras.npz"), Frame::default(), Purpose::Train).unwrap();
    for channel in 0..3 {
        let values = || (0..9).flat_map(|n| pixels(n, 3)[channel * 30..][..30].to_vec()).map(|x| f64::from(x) / 255.0);
        let mean = values().sum::<f64>() / 270.0;
        let std = (values().map(|x| (x - mean).powi(2)).sum::<f64>() / 270.0).sqrt();
        assert!((f64::from(set.mean[channel]) - mean).abs() < 1e-6 && (f64::from(set.std[channel]) - std).abs() < 1e-6);
    }
}

#[test]
fn archives_that_are_no_sets_say_why() {
    refused("floats.npz", &["`images` has values of type <f4", "astype('uint8')"]);
    refused("negative.npz", &["`labels` has -1 as the label of sample 0"]);
    refused("unseen.npz", &["in the test part", "label 3, but there are 3 classes"]);
    refused("other_names.npz", &["x_train and y_train", "there are: classes, pictures"]);
    refused("uneven_pairs.npz", &["pairs of images must have one shape, and `labels` has another"]);
    refused("half_pairs.npz", &["one of training and test part has pairs of images, the other one labels"]);
    refused("too_few.npz", &["`labels` has 3 labels for 9 images"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.npz");
    let whole = fs::read(fixture("medmnist.npz")).unwrap();
    // Cut anywhere it is an error, and with any one byte wrong never a panic.
    for length in (0..whole.len()).step_by(7) {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(refusal(&path, Frame::default()).contains("cut.npz"));
    }
    for at in (0..whole.len()).step_by(3) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        fs::write(&path, bytes).unwrap();
        let _ = open(&path, Frame::default(), Purpose::Train);
    }
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
fn a_folder_of_classes_is_read_in_the_order_of_names() {
    let root = photos(&[
        ("train/bee", &[(1, ONE), (4, ONE)]),
        ("train/ant", &[(0, ONE), (3, ONE), (6, ONE)]),
        ("train/cat", &[(2, ONE)]),
        ("test/cat", &[(5, ONE)]),
    ]);
    // What a desktop leaves behind is no image.
    fs::write(root.path().join("train/ant/.DS_Store"), "x").unwrap();
    fs::write(root.path().join("train/ant/notes.txt"), "x").unwrap();
    let set = open(root.path(), Frame::default(), Purpose::Train).unwrap();
    assert_eq!((set.shape, set.class_names.join(" ")), ([3, 6, 5], "ant bee cat".to_owned()));
    holds(&set.train, [0, 3, 6, 1, 4, 2]);
    holds(&set.test, [5]);
    // Without parts a fifth is held out.
    let set = open(&root.path().join("train"), Frame::default(), Purpose::Train).unwrap();
    assert_eq!((set.train.len(), set.test.len(), set.classes), (5, 1, 3));
    let set = open(root.path(), Frame { size: Some([4, 4]), grey: true, ..Frame::default() }, Purpose::Train).unwrap();
    assert_eq!((set.shape, set.train.image(0).unwrap().len()), ([1, 4, 4], 16));
}

#[test]
fn a_jpeg_is_decoded_as_another_library_encoded_it() {
    let root = photos(&[("a", &[(0, ONE)]), ("b", &[(1, ONE); 1])]);
    // The ending is not believed.
    fs::copy(fixture("photo.jpg"), root.path().join("a/0.png")).unwrap();
    for at in 2..6 {
        fs::copy(fixture("photo.jpg"), root.path().join(format!("b/{at}.jpg"))).unwrap();
    }
    let set = open(root.path(), Frame::default(), Purpose::Train).unwrap();
    let jpegs: Vec<Vec<u8>> = [&set.train, &set.test]
        .into_iter()
        .flat_map(|split| (0..split.len()).map(|at| split.image(at).unwrap().to_vec()))
        .filter(|image| *image != pixels(1, 3))
        .collect();
    assert_eq!(jpegs.len(), 5);
    for image in jpegs {
        let worst = image.iter().zip(pixels(0, 3)).map(|(a, b)| a.abs_diff(b)).max().unwrap();
        assert!(worst <= 6, "{worst}");
    }
}

#[test]
fn folders_that_are_no_sets_say_why() {
    let plain = Frame::default();
    let text = refusal(Path::new("no/such/place"), plain);
    assert!(text.contains("no/such/place: there is no such file or folder"), "{text}");
    let root = photos(&[("a", &[(0, ONE)])]);
    assert!(refusal(root.path(), plain).contains("at least two; there are 1"));
    fs::create_dir(root.path().join("b")).unwrap();
    let text = refusal(root.path(), plain);
    assert!(
        text.contains("the class is empty") && text.contains(&root.path().join("b").display().to_string()),
        "{text}"
    );

    let root = photos(&[("train/a", &[(0, ONE)]), ("train/b", &[(0, ONE)]), ("val/c", &[(0, ONE)])]);
    let text = refusal(root.path(), plain);
    assert!(text.contains("there is no class of this name") && text.contains("it has: a, b"), "{text}");

    let root = photos(&[("a", &[(0, ONE), (1, [6, 7])]), ("b", &[(0, ONE); 5])]);
    let text = refusal(root.path(), plain);
    assert!(text.contains("0.png is 6×5") && text.contains("1.png is 6×7") && text.contains("size = 224"), "{text}");

    // A broken image is named when it is met: in the header, in the pixels, by a worker.
    let root = photos(&[("a", &[(0, ONE), (1, ONE), (2, ONE)]), ("b", &[(3, ONE), (4, ONE), (5, ONE)])]);
    let path = root.path().join("a/1.png");
    let png = fs::read(&path).unwrap();
    fs::write(&path, "not a picture").unwrap();
    let text = refusal(root.path(), plain);
    assert!(text.contains("1.png cannot be read as an image"), "{text}");
    fs::write(&path, &png).unwrap();
    let set = open(root.path(), plain, Purpose::Train).unwrap();
    fs::write(&path, &png[..png.len() - 20]).unwrap();
    let options = crate::data::LoaderOptions { workers: 2, ..crate::data::LoaderOptions::evaluate(&set, 2) };
    let errors: Vec<String> = [&set.train, &set.test]
        .into_iter()
        .flat_map(|split| crate::data::Loader::new(split.clone(), options.clone()).unwrap().epoch(0))
        .filter_map(|batch| batch.err().map(|error| error.to_string()))
        .collect();
    assert!(errors.len() == 1 && errors[0].contains("1.png cannot be read as an image"), "{errors:?}");
}

#[test]
fn a_set_without_a_test_part_is_evaluated_whole() {
    let root = photos(&[
        ("a", &[(0, ONE), (3, ONE), (6, ONE), (9, ONE), (12, ONE)]),
        ("b", &[(1, ONE), (4, ONE), (7, ONE), (10, ONE), (13, ONE)]),
    ]);
    for path in [root.path().to_path_buf(), fixture("planes.npz")] {
        let learned = open(&path, Frame::default(), Purpose::Train).unwrap();
        let evaluated = open(&path, Frame::default(), Purpose::Evaluate).unwrap();
        assert_eq!(evaluated.test.len(), learned.train.len() + learned.test.len());
        assert!(evaluated.train.is_empty() && evaluated.account.test.contains("all samples"));
        assert_eq!(learned.test.len(), evaluated.test.len() / 5);
    }
    // The set's own test part is what is evaluated.
    let [learned, evaluated] = [Purpose::Train, Purpose::Evaluate]
        .map(|purpose| open(&fixture("keras.npz"), Frame::default(), purpose).unwrap());
    assert!(learned.test == evaluated.test && learned.train == evaluated.train);
}

#[test]
fn what_a_config_means_by_a_set() {
    assert!(is_path("./photos") && is_path("/data/photos") && is_path("a.npz") && is_path("a.PARQUET"));
    assert!(!is_path("cifar10") && !is_path("photos"));
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_of_a_hub_is_read() {
    let set = open(&fixture("hub"), Frame::default(), Purpose::Train).unwrap();
    assert_eq!((set.shape, set.class_names.join(" ")), ([3, 6, 5], "ant bee cat".to_owned()));
    holds(&set.train, 0..9);
    holds(&set.test, 9..12);
    let set = open(
        &fixture("hub/data/train-00000-of-00002.parquet"),
        Frame { size: Some([3, 3]), ..Frame::default() },
        Purpose::Train,
    );
    assert_eq!(set.map(|set| (set.shape, set.train.len())).map_err(|error| error.to_string()), Ok(([3, 3, 3], 4)));
    // Two names for three classes.
    refused("single.parquet", &["label 2, but there are 2 classes"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.parquet");
    let whole = fs::read(fixture("single.parquet")).unwrap();
    for length in (0..whole.len()).step_by(97) {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(refusal(&path, Frame::default()).contains("cut.parquet"));
    }
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_program_without_parquet_says_how_to_build_one() {
    refused("hub", &["built without Parquet", "--features parquet"]);
}
