//! Fetching where nobody answers, and what is left behind.

use super::super::catalogue::{Client, Layout};
use super::*;

/// A file of three bytes, and an origin where nobody answers.
static FILES: &[FileSpec] = &[FileSpec {
    name: "abc",
    bytes: 3,
    sha256: Some("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
}];
static SPEC: Spec = Spec {
    name: "tiny",
    description: "",
    licence: "",
    shape: [1, 1, 1],
    class_names: &[],
    train: 0,
    test: 0,
    mean: &[],
    std: &[],
    home: Home::Files {
        layout: Layout::Idx,
        files: FILES,
        origins: &[Origin {
            label: "nobody",
            client: Client::Curl { base: "https://127.0.0.1:1/" },
            members: &["abc"],
            extra: &[],
            bytes: 3,
        }],
    },
};

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_failed_fetch_leaves_everything_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("tiny");
    let error = get_spec(&SPEC, root.path(), &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("nobody: curl") && error.contains("tiny by hand"), "{error}");
    assert_eq!(names(root.path()), [""; 0]);

    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("abc"), "abd").unwrap();
    assert!(get_spec(&SPEC, root.path(), &mut |_| ()).is_err());
    assert_eq!(names(root.path()), ["tiny"]);
    assert_eq!(fs::read(folder.join("abc")).unwrap(), b"abd");
}

#[test]
fn what_is_there_and_right_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("tiny");
    fs::create_dir(&folder).unwrap();
    for (name, content) in [("abc.gz", &gzipped(b"abc")[..]), ("abc", b"abc")] {
        fs::write(folder.join(name), content).unwrap();
        let mut last = None;
        let got = get_spec(&SPEC, root.path(), &mut |progress| last = Some((progress.done, progress.total)));
        assert_eq!(got.unwrap(), Got::Present { folder: folder.clone() });
        assert_eq!(last, Some((3, Some(3))));
    }
}

#[test]
fn wrong_files_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let check = |content: &[u8]| {
        fs::write(folder.path().join("abc"), content).unwrap();
        verify("tiny", folder.path(), FILES, &mut |_| ())
    };
    assert!(check(b"abc").is_ok());
    assert!(check(&gzipped(b"abc")).is_ok());
    assert!(matches!(check(b"abd"), Err(DataError::Checksum { .. })));
    assert!(matches!(check(b"ab"), Err(DataError::Format { offset: 2, .. })));
    assert!(matches!(check(b"abcd"), Err(DataError::Format { offset: 3, .. })));
    assert!(matches!(check(&gzipped(&vec![0; 1 << 20])), Err(DataError::Format { offset: 3, .. })));
}

#[test]
fn publishing_keeps_what_is_not_ours() {
    let root = tempfile::tempdir().unwrap();
    let (ready, folder) = (root.path().join("ready"), root.path().join("tiny"));
    for target in [&ready, &folder] {
        fs::create_dir(target).unwrap();
    }
    fs::write(ready.join("abc"), "abc").unwrap();
    fs::write(folder.join("abc"), "bad").unwrap();
    fs::write(folder.join("notes"), "mine").unwrap();
    publish(&ready, &folder, FILES).unwrap();
    assert_eq!(names(&folder), ["abc", "notes"]);
    assert_eq!(fs::read(folder.join("abc")).unwrap(), b"abc");
}

#[test]
fn only_old_leftovers_are_swept() {
    let root = tempfile::tempdir().unwrap();
    let (young, old) = (root.path().join(".tiny.partial-1"), root.path().join(".tiny.partial-2"));
    for folder in [&young, &old, &root.path().join("tiny")] {
        fs::create_dir(folder).unwrap();
    }
    let long_ago = std::time::SystemTime::now() - 2 * ABANDONED;
    fs::File::open(&old).unwrap().set_modified(long_ago).unwrap();
    sweep(root.path(), ".tiny.partial-");
    assert_eq!(names(root.path()), [".tiny.partial-1", "tiny"]);
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
