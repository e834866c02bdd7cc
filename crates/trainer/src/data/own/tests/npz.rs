//! NumPy archives.

use super::*;

#[test]
fn archives_of_all_three_namings_are_read() {
    let set = open(&fixture("keras.npz")).unwrap();
    assert_eq!((set.name.as_str(), set.shape, set.classes), ("keras", [3, 6, 5], 3));
    holds(&set.train, 0..9);
    holds(&set.test, 9..12);
    let set = open(&fixture("medmnist.npz")).unwrap();
    assert_eq!(set.shape, [1, 6, 5]);
    holds(&set.train, 0..9);
    // Big-endian labels, planes first, and a fifth held out: the same one each time.
    let set = open(&fixture("planes.npz")).unwrap();
    assert_eq!((set.shape, set.train.len(), set.test.len()), ([3, 6, 5], 16, 4));
    assert!(open(&fixture("planes.npz")).unwrap().test == set.test);
    assert!((0..4).all(|at| (0..20).any(|n| *set.test.image(at).unwrap() == pixels(n, 3))));
}

#[test]
fn a_second_array_of_images_makes_pairs() {
    let set = open(&fixture("pairs.npz")).unwrap();
    assert_eq!((set.shape, set.classes, set.train.len(), set.test.len()), ([3, 6, 5], 1, 9, 3));
    let (part, _) = set.train.divide(4, 1);
    for split in [&*set.train, &*set.test, &part] {
        assert!(split.is_paired());
        for at in 0..split.len() {
            let (image, target) = (split.image(at).unwrap(), split.target(at).unwrap());
            assert!(image.iter().zip(&*target.bytes).all(|(x, t)| x + t == 255));
        }
    }
    assert!(!open(&fixture("keras.npz")).unwrap().train.is_paired());
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
        let _ = open(&path);
    }
}
