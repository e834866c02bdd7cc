//! Folders of images per class.

use super::*;
use crate::pixels::ENDINGS;

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
    let set = open(root.path()).unwrap();
    assert_eq!((set.shape, set.class_names.join(" ")), ([3, 6, 5], "ant bee cat".to_owned()));
    holds(&set.train, [0, 3, 6, 1, 4, 2]);
    holds(&set.test, [5]);
    // Without parts a fifth is held out.
    let set = open(&root.path().join("train")).unwrap();
    assert_eq!((set.train.len(), set.test.len(), set.classes), (5, 1, 3));
    let set = open_with(root.path(), Frame { size: Some([4, 4]), grey: true, ..Frame::default() }).unwrap();
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
    let set = open(root.path()).unwrap();
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
    let set = open_with(root.path(), plain).unwrap();
    fs::write(&path, &png[..png.len() - 20]).unwrap();
    let options = crate::LoaderOptions { workers: 2, ..crate::LoaderOptions::evaluate(&set, 2) };
    let errors: Vec<String> = [&set.train, &set.test]
        .into_iter()
        .flat_map(|split| crate::Loader::new(split.clone(), options.clone()).unwrap().epoch(0))
        .filter_map(|batch| batch.err().map(|error| error.to_string()))
        .collect();
    assert!(errors.len() == 1 && errors[0].contains("1.png cannot be read as an image"), "{errors:?}");
}

/// Folders with so many images each, all of one size and numbered through.
fn folders(counts: &[(&str, usize)]) -> tempfile::TempDir {
    let mut numbers = 0..;
    let images: Vec<Vec<(usize, [u32; 2])>> =
        counts.iter().map(|(_, count)| numbers.by_ref().take(*count).map(|n| (n, ONE)).collect()).collect();
    let classes: Vec<Class<'_>> = counts.iter().zip(&images).map(|((name, _), images)| (*name, &images[..])).collect();
    photos(&classes)
}

/// How many samples there are for training, validation and tests.
fn sizes(set: &Dataset) -> (usize, Option<usize>, usize) {
    (set.train.len(), set.validation.as_ref().map(|part| part.len()), set.test.len())
}

#[test]
fn parts_are_known_by_their_names_in_any_case() {
    for (train, validation, test) in
        [("train", "val", "test"), ("Train", "VALID", "Test"), ("TRAIN", "Validation", "test")]
    {
        let names = [train, validation, test].map(|part| [format!("{part}/a"), format!("{part}/b")]);
        let counts: Vec<(&str, usize)> = names.iter().flatten().map(String::as_str).zip([4, 3, 2, 2, 1, 1]).collect();
        let set = open(folders(&counts).path()).unwrap();
        assert_eq!(sizes(&set), (7, Some(4), 2));
        let account = (set.account.validation.as_str(), set.account.test.as_str());
        assert_eq!(account, (&*format!("{validation}/"), &*format!("{test}/")));
        assert!(set.account.left_out.is_empty() && set.account.warnings.is_empty());
        // What the set holds out is evaluated during training; a share is held out of what is learned from.
        let (learned, held_out) = set.parts(None, 1).unwrap();
        assert_eq!((learned.len(), held_out.map(|part| part.len())), (7, Some(4)));
        let parts = set.composition(Some(crate::Share::Count(2)), 1).unwrap();
        assert_eq!((parts.train.samples, parts.validation.unwrap().classes), (5, vec![1, 1]));
        let left_out = parts.account.left_out.join("; ");
        assert!(left_out.contains(&format!("{validation}/, as `data.validation`")), "{left_out}");
    }
}

#[test]
fn a_validation_part_alone_is_the_test_part() {
    let set = open(folders(&[("train/a", 2), ("train/b", 2), ("valid/a", 1), ("valid/b", 1)]).path()).unwrap();
    assert_eq!((sizes(&set), set.account.test.as_str()), ((4, None, 2), "valid/"));
}

#[test]
fn two_folders_of_one_part_are_refused_by_both_names() {
    let root = folders(&[("train/a", 2), ("train/b", 2), ("val/a", 1), ("Validation/b", 1)]);
    let text = refusal(root.path(), Frame::default());
    assert!(text.contains("/val") && text.contains("/Validation") && text.contains("both"), "{text}");
}

#[test]
fn a_test_folder_without_classes_is_no_class() {
    let root = folders(&[("cat", 5), ("dog", 5), ("test", 3)]);
    let set = open(root.path()).unwrap();
    assert_eq!((set.class_names.join(" "), sizes(&set)), ("cat dog".to_owned(), (8, None, 2)));
    assert_eq!(set.account.left_out, ["test/, which has 3 pictures without a class and no class folders"]);
    // Unless it is said to be one.
    fs::write(root.path().join("classes.txt"), "dog\ntest\ncat\n").unwrap();
    let set = open(root.path()).unwrap();
    assert_eq!((set.class_names.join(" "), set.train.len() + set.test.len()), ("dog test cat".to_owned(), 13));
    assert!(set.account.left_out.is_empty());
}

#[test]
fn a_test_folder_with_classes_beside_classes_is_the_test_part() {
    let root = folders(&[("cat", 5), ("dog", 5), ("test/cat", 1), ("test/dog", 2)]);
    let set = open(root.path()).unwrap();
    assert_eq!((sizes(&set), set.account.test.as_str()), ((10, None, 3), "test/"));
    // With a training part, they belong to none.
    let root = folders(&[("cat", 5), ("train/cat", 2), ("train/dog", 2), ("test/cat", 1), ("test/dog", 2)]);
    let set = open(root.path()).unwrap();
    assert_eq!((sizes(&set), set.account.left_out.join("")), ((4, None, 3), "the folder cat beside train/".to_owned()));
}

#[test]
fn a_test_part_alone_evaluates_nets() {
    let root = folders(&[("test/cat", 2), ("test/dog", 3)]);
    let set = evaluated(root.path()).unwrap();
    assert_eq!((set.class_names.join(" "), sizes(&set)), ("cat dog".to_owned(), (0, None, 5)));
    assert!(set.parts(None, 1).unwrap_err().to_string().contains("no training images"));
    // Some of a net's classes will do.
    let root = folders(&[("cat", 2)]);
    let set = evaluated(root.path()).unwrap();
    assert_eq!((set.class_names.join(" "), sizes(&set)), ("cat".to_owned(), (0, None, 2)));
}

#[test]
fn classes_that_only_one_part_has_are_refused_or_said() {
    let root = folders(&[("train/a", 2), ("train/b", 2), ("val/a", 1), ("test/a", 1), ("test/b", 1)]);
    let set = open(root.path()).unwrap();
    assert_eq!(set.account.warnings, ["the validation part (val/) has no samples of class b"]);
    fs::create_dir(root.path().join("val/b")).unwrap();
    assert_eq!(open(root.path()).unwrap().account.warnings.len(), 1, "an empty folder is as none");
    fs::create_dir(root.path().join("val/c")).unwrap();
    let text = refusal(root.path(), Frame::default());
    assert!(text.contains("val/c: there is no class of this name"), "{text}");
    let root = folders(&[("a", 5), ("b", 5)]);
    fs::write(root.path().join("classes.txt"), "a\nb\nc\nd\n").unwrap();
    assert_eq!(open(root.path()).unwrap().account.warnings, ["there are no training samples of 2 of 4 classes: c, d"]);
}

#[test]
fn what_is_no_part_of_a_set_is_said_once() {
    let root = folders(&[("train/a", 3), ("train/b", 3), ("train", 2), ("test/a", 1), ("test/b", 1)]);
    for file in ["read.me", "train/list.CSV", "train/a/notes.txt", "train/b/1.heic", "test/b/2.HEIC", "labels"] {
        fs::write(root.path().join(file), "x").unwrap();
    }
    // What a desktop leaves behind is skipped.
    for file in [".DS_Store", "train/a/._1.png", "test/.hidden.png"] {
        fs::write(root.path().join(file), "x").unwrap();
    }
    let set = open(root.path()).unwrap();
    assert_eq!(sizes(&set), (6, None, 2));
    let expected = [
        "2 pictures in train/ that are in no class folder",
        "6 files that are no pictures (2 .heic, 1 .csv, 1 .me, 1 .txt, 1 without an ending)",
    ];
    assert_eq!(set.account.left_out, expected);
}

#[test]
fn pictures_in_folders_of_a_class_count_in_a_fixed_order() {
    let root = folders(&[("a/x/y", 2), ("a", 1), ("a/b", 1), ("b", 1)]);
    let set = evaluated(root.path()).unwrap();
    assert_eq!(set.test.labels(), [0, 0, 0, 0, 1]);
    // Folder by folder: first what is in `a` itself, then `a/b`, then `a/x`.
    for (at, n) in [2, 3, 0, 1, 4].into_iter().enumerate() {
        assert!(*set.test.image(at).unwrap() == pixels(n, 3), "{at}");
    }
    let mut deep = root.path().join("b");
    deep.extend((0..40).map(|_| "deep"));
    fs::create_dir_all(deep).unwrap();
    assert!(refusal(root.path(), Frame::default()).contains("more than 32 folders deep"));
}

#[test]
fn every_picture_counts_that_can_be_read() {
    let root = folders(&[("a", 1), ("b", 1)]);
    for ending in ENDINGS {
        fs::copy(root.path().join("a/0.png"), root.path().join(format!("a/one.{ending}"))).unwrap();
        fs::copy(root.path().join("a/0.png"), root.path().join(format!("b/ONE.{}", ending.to_uppercase()))).unwrap();
    }
    let set = open(root.path()).unwrap();
    assert_eq!(set.train.len() + set.test.len(), 2 * ENDINGS.len() + 2);
}

#[cfg(unix)]
#[test]
fn links_that_lead_back_and_pipes_end_nothing() {
    use std::os::unix::fs::symlink;
    let root = folders(&[("a", 3), ("b/more", 3)]);
    symlink("..", root.path().join("a/up")).unwrap();
    symlink("../b", root.path().join("a/other")).unwrap();
    symlink("nowhere.png", root.path().join("b/broken.png")).unwrap();
    let pipe = root.path().join("b/pipe.png");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let set = evaluated(root.path()).unwrap();
    let count = |class| set.test.labels().iter().filter(|&&label| label == class).count();
    assert_eq!((count(0), count(1)), (6, 3));
    let left_out = set.account.left_out.join("; ");
    assert!(left_out.contains("pipes, devices or links to nowhere"), "{left_out}");
    assert!(left_out.contains("a link to a folder that was read already or is above it"), "{left_out}");
    // A list of classes is a file.
    assert!(std::process::Command::new("mkfifo").arg(root.path().join("classes.txt")).status().unwrap().success());
    assert!(refusal(root.path(), Frame::default()).contains("classes.txt: it is not a regular file"));
}

#[test]
fn names_of_classes_are_compared_in_one_unicode_form() {
    // As a Mac writes it: e and an accent.
    let root = folders(&[("cafe\u{301}", 5), ("tea", 5)]);
    fs::write(root.path().join("classes.txt"), "\u{feff}tea\r\ncaf\u{e9}\r\n").unwrap();
    let set = open(root.path()).unwrap();
    assert_eq!(set.class_names, ["tea", "caf\u{e9}"]);
    fs::remove_file(root.path().join("classes.txt")).unwrap();
    assert_eq!(open(root.path()).unwrap().class_names, ["caf\u{e9}", "tea"]);
    // Both forms beside each other cannot be told apart by whoever reads them.
    fs::create_dir(root.path().join("caf\u{e9}")).unwrap();
    assert!(refusal(root.path(), Frame::default()).contains("the class `caf\u{e9}` is there twice"));
}

#[test]
fn lists_of_classes_are_bounded() {
    let root = folders(&[("a", 2), ("b", 2)]);
    let list = |text: String| fs::write(root.path().join("classes.txt"), text).unwrap();
    let begin = std::time::Instant::now();
    list((0..100_000).map(|at| format!("class {at}\n")).collect::<String>() + "a\nb\n");
    let set = evaluated(root.path()).unwrap();
    assert_eq!((set.classes, set.test.len()), (100_002, 4));
    list((0..100_000).map(|at| format!("class {}\n", at % 99_999)).collect());
    let text = refusal(root.path(), Frame::default());
    assert!(text.contains("`class 0` is there twice: line 1 and line 100000"), "{text}");
    list("a\n".to_owned() + &"b".repeat(10 << 20));
    let text = refusal(root.path(), Frame::default());
    assert!(text.contains("line 2: a class's name has 10485760 bytes; it may have 1024") && text.len() < 1000);
    list("x\n".repeat(20 << 20));
    assert!(refusal(root.path(), Frame::default()).contains("more than the 16777216 bytes"));
    assert!(begin.elapsed().as_secs() < 10);
}
