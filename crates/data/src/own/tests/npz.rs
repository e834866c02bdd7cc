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

/// An array as NumPy writes it.
fn npy(kind: &str, dims: &[usize], values: &[u8]) -> Vec<u8> {
    let dims: String = dims.iter().map(|extent| format!("{extent}, ")).collect();
    npy_with(&format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({dims}), }}"), values)
}

fn npy_with(header: &str, values: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16 + 1).to_le_bytes());
    bytes.extend(format!("{header}\n").bytes());
    bytes.extend(values);
    bytes
}

/// An archive of these arrays, in a folder of its own.
fn archive(arrays: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.npz");
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    for (name, bytes) in arrays {
        zip.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, bytes).unwrap();
    }
    zip.finish().unwrap();
    (folder, path)
}

/// So many images of 2×2 pixels, and their labels.
fn images(count: usize) -> Vec<u8> {
    npy("|u1", &[count, 2, 2], &(0..count * 4).map(|at| at as u8).collect::<Vec<_>>())
}

fn labels(labels: &[i64]) -> Vec<u8> {
    npy("<i8", &[labels.len()], &labels.iter().flat_map(|label| label.to_le_bytes()).collect::<Vec<_>>())
}

fn refusal_of(arrays: &[(&str, Vec<u8>)]) -> String {
    refusal(&archive(arrays).1, Frame::default())
}

#[test]
fn archives_have_validation_parts() {
    let six = [0, 1, 0, 1, 0, 1];
    for (images_of, labels_of, validation) in
        [("x_", "y_", "val"), ("x_", "y_", "valid"), ("x_", "y_", "validation"), ("", "", "val")]
    {
        let name = |part: &str, what: &str| match images_of {
            "" => format!("{part}_{what}"),
            _ => format!("{}{part}", if what == "images" { images_of } else { labels_of }),
        };
        let names: Vec<[String; 2]> =
            ["train", validation, "test"].iter().map(|part| [name(part, "images"), name(part, "labels")]).collect();
        let mut arrays = Vec::new();
        for ([image, label], count) in names.iter().zip([6, 4, 2]) {
            arrays.push((image.as_str(), images(count)));
            arrays.push((label.as_str(), labels(&six[..count])));
        }
        let set = open(&archive(&arrays).1).unwrap();
        assert_eq!((set.train.len(), set.validation.as_ref().unwrap().len(), set.test.len()), (6, 4, 2));
        assert_eq!((&set.account.validation, &set.account.test), (&names[1][0], &names[2][0]));
        assert!(set.numbered && set.account.left_out.is_empty() && set.account.warnings.is_empty());
        // Without the test part, the validation part is it.
        let set = open(&archive(&arrays[..4]).1).unwrap();
        assert_eq!((set.validation.is_none(), set.test.len(), &set.account.test), (true, 4, &names[1][0]));
        // A test part alone evaluates nets.
        let set = evaluated(&archive(&arrays[4..]).1).unwrap();
        assert_eq!((set.train.len(), set.test.len()), (0, 2));
    }
    let (x, y) = (images(2), labels(&[0, 1]));
    let both = [("x_train", "y_train"), ("x_val", "y_val"), ("x_valid", "y_valid")];
    let both: Vec<_> = both.into_iter().flat_map(|(a, b)| [(a, x.clone()), (b, y.clone())]).collect();
    assert!(refusal_of(&both).contains("`x_val` and `x_valid` are both the validation part"));
}

#[test]
fn arrays_that_are_no_samples_are_said() {
    let train = [("x_train", images(10)), ("y_train", labels(&[0, 1, 0, 1, 0, 1, 0, 1, 0, 1]))];
    let with = |more: &[(&'static str, Vec<u8>)]| open(&archive(&[&train, more].concat()).1).unwrap();
    let set = with(&[("x_test", images(3))]);
    assert_eq!((set.train.len(), set.test.len()), (8, 2));
    assert_eq!(set.account.left_out, ["x_test, as there is no y_test"]);
    let set = with(&[("x_test", images(3)), ("y_test", labels(&[-1; 3]))]);
    assert_eq!((set.test.len(), set.account.left_out.join("")), (2, "x_test, as all of y_test are -1".to_owned()));
    let set = with(&[("y_test", labels(&[0])), ("ids", labels(&[7])), ("images", images(1))]);
    assert_eq!(set.account.left_out, ["the arrays ids, images, y_test"]);
    // Some labels that nobody knows are a mistake, and so is a training part of them.
    assert!(refusal_of(&[("images", images(2)), ("labels", labels(&[0, -1]))]).contains("-1 as the label of sample 1"));
    assert!(
        refusal_of(&[("images", images(2)), ("labels", labels(&[-1, -1]))]).contains("all labels in `labels` are -1")
    );
}

#[test]
fn classes_without_samples_are_said() {
    let from_one: Vec<i64> = (0..20).map(|at| 1 + at % 3).collect();
    let set = open(&archive(&[("images", images(20)), ("labels", labels(&from_one))]).1).unwrap();
    assert_eq!(set.classes, 4);
    let warnings = set.account.warnings.join("; ");
    assert!(warnings.contains("no training sample has label 0: are labels counted from 1?"), "{warnings}");
    let far = [("images", images(4)), ("labels", labels(&[0, 0, 50_000, 50_000]))];
    let set = open(&archive(&far).1);
    assert!(set.is_err(), "a fifth of four is none");
    let far =
        [("x_train", images(3)), ("y_train", labels(&[0, 50_000, 3])), ("x_test", images(1)), ("y_test", labels(&[3]))];
    let set = open(&archive(&far).1).unwrap();
    let expected = [
        "there are no training samples of 49998 of 50001 classes: 1, 2, 4, 5, 6, 7, 8, 9, 10, 11 …",
        "the test part (x_test) has no samples of 2 of 50001 classes: 0, 50000",
    ];
    assert_eq!((set.classes, set.account.warnings), (50_001, expected.map(str::to_owned).to_vec()));
}

/// Values of an array from whole numbers.
fn values(kind: &str, numbers: &[i64]) -> Vec<u8> {
    let size: usize = kind[2..].parse().unwrap();
    let bytes = numbers.iter().flat_map(|number| {
        let mut bytes = number.to_le_bytes()[..size].to_vec();
        if kind.starts_with('>') {
            bytes.reverse();
        }
        bytes
    });
    bytes.collect()
}

#[test]
fn whole_numbers_from_0_to_255_are_bytes_whatever_their_type() {
    let pixels: Vec<i64> = (0..40).map(|at| at * 6 + 15).collect();
    for kind in ["<i2", ">i2", "<u2", ">u2", "<i4", "<u4", ">u4", "<i8", ">i8", "<u8"] {
        let array = npy(kind, &[10, 2, 2], &values(kind, &pixels));
        let set =
            evaluated(&archive(&[("images", array), ("labels", labels(&[0, 1, 0, 1, 0, 1, 0, 1, 0, 1]))]).1).unwrap();
        let read: Vec<i64> =
            (0..10).flat_map(|at| set.test.image(at).unwrap().iter().map(|&x| x.into()).collect::<Vec<_>>()).collect();
        assert_eq!(read, pixels, "{kind}");
    }
}

#[test]
fn other_numbers_are_refused_with_what_makes_bytes_of_them() {
    let refused = |kind: &str, numbers: &[i64]| {
        let array = npy(kind, &[1, 2, 2], &values(kind, numbers));
        refusal_of(&[("images", array), ("labels", labels(&[0]))])
    };
    let check = |text: String, parts: &[&str]| assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    check(refused("<u2", &[3, 9, 300, 65_500]), &["type <u2", "from 3 to 65500", "(x // 257).astype('uint8')"]);
    check(refused("<u2", &[0, 9, 300, 4_095]), &["from 0 to 4095", "(x // 16).astype('uint8')", "12-bit"]);
    check(refused("<i8", &[0, 9, 256, 300]), &["from 0 to 300", "(x // 2).astype('uint8')"]);
    check(refused("<i4", &[-5, 9, 100, 2]), &["from -5 to 100", "x.min()", "astype('uint8')"]);
    check(refused("<u4", &[0, 9, 100, 100_000]), &["from 0 to 100000", "x.max()"]);
    check(refused("|i1", &[-5, 9, 100, 2]), &["from -5 to 100", "x.view('uint8')"]);
    check(refused("|b1", &[0, 1, 1, 0]), &["type |b1", "(255 * x.astype('uint8'))"]);
    let floats = |numbers: [f32; 4]| {
        let array = npy("<f4", &[1, 2, 2], &numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>());
        refusal_of(&[("images", array), ("labels", labels(&[0]))])
    };
    check(floats([0.0, 0.5, 1.0, 0.25]), &["from 0 to 1;", "(255 * x).round().astype('uint8')"]);
    check(floats([0.0, 0.5, 254.0, 0.25]), &["from 0 to 254;", "x.round().astype('uint8')"]);
    check(floats([-1.0, 0.5, 1.0, 0.25]), &["from -1 to 1;", "(127.5 * (x + 1)).round().astype('uint8')"]);
    check(floats([-3.0, 0.5, 1e9, 0.25]), &["x.min()"]);
    check(floats([-3.0, f32::NAN, 1e9, 0.25]), &["some are NaN or infinite"]);
    let half = npy("<f2", &[1, 2, 2], &[0x00, 0x3c].repeat(4));
    check(refusal_of(&[("images", half), ("labels", labels(&[0]))]), &["type <f2", "from 1 to 1;"]);
    let one_hot = npy("|u1", &[4, 3], &[0; 12]);
    check(refusal_of(&[("images", images(4)), ("labels", one_hot)]), &["y.argmax(axis=1)"]);
    let floats = npy("<f4", &[4], &[0; 16]);
    check(refusal_of(&[("images", images(4)), ("labels", floats)]), &["labels must be whole numbers"]);
}

#[test]
fn headers_that_lie_take_neither_time_nor_memory() {
    let begin = std::time::Instant::now();
    let refused = |header: &str| refusal_of(&[("images", npy_with(header, &[0; 64])), ("labels", labels(&[0]))]);
    let nested =
        format!("{{'descr': {}'|u1'{}, 'fortran_order': False, 'shape': (1, 2, 2), }}", "[".repeat(24), "]".repeat(24));
    let text = refused(&nested);
    assert!(text.contains("`images` cannot be read: its header is not that of an array of numbers"), "{text}");
    let text = refused(&"(".repeat(60_000));
    assert!(text.contains("its header has 60001 bytes; 4096 are read"), "{text}");
    for shape in ["99999999999, 2, 2", "18446744073709551615, 1, 1", "4294967296, 4294967296, 1", "1000000, 100, 100"] {
        let text = refused(&format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape}), }}"));
        assert!(text.contains("bytes can hold"), "{text}");
    }
    for header in [
        "{'descr': '|O', 'fortran_order': False, 'shape': (1, 2, 2), }",
        "{'descr': [('a', '<u1')], 'fortran_order': False, 'shape': (1, 2, 2), }",
    ] {
        let text = refused(header);
        assert!(text.contains("numbers"), "{text}");
    }
    for header in ["", "{}", "[[[[", "None", "{'descr': 1}"] {
        assert!(refused(header).contains("`images` cannot be read"));
    }
    assert!(
        refusal_of(&[("images", b"not an array".to_vec()), ("labels", labels(&[0]))])
            .contains("as an array of NumPy does")
    );
    assert!(begin.elapsed().as_secs() < 5);
}
