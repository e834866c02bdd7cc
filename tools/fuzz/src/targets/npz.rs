//! NumPy archives: changes within the header of an array, to its bytes, and to the zip around it.

use super::Target;
use crate::bytes;
use crate::random::Random;
use frugal_trainer::Error;
use std::io::{Cursor, Read, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

pub const TARGET: Target = Target { name: "npz", file: "set.npz", seeds, mutate, attempt };

/// Names and contents.
type Members = Vec<(String, Vec<u8>)>;

fn seeds() -> Vec<Vec<u8>> {
    let pixels: Vec<u8> = (0..=255).cycle().take(6 * 4 * 5 * 3).collect();
    let images = |count: usize, dims: &str| array("|u1", dims, &pixels[..count]);
    let labels = |labels: &[u8]| array("|u1", &format!("({},)", labels.len()), labels);
    let wide: Vec<u8> = [0i64, 1, 2, 1].iter().flat_map(|label| label.to_le_bytes()).collect();
    let keras = vec![
        ("x_train", images(360, "(6, 4, 5, 3)")),
        ("y_train", labels(&[0, 1, 2, 0, 1, 2])),
        ("x_test", images(120, "(2, 4, 5, 3)")),
        ("y_test", labels(&[1, 0])),
    ];
    let medmnist = vec![
        ("train_images", images(80, "(4, 4, 5)")),
        ("train_labels", array("<i8", "(4, 1)", &wide)),
        ("test_images", images(40, "(2, 4, 5)")),
        ("test_labels", array("<i8", "(2, 1)", &wide[..16])),
    ];
    let plain = vec![("images", images(120, "(6, 1, 4, 5)")), ("labels", labels(&[0, 1, 0, 1, 0, 1]))];
    let pairs = vec![("images", images(120, "(6, 4, 5)")), ("labels", images(120, "(6, 4, 5)"))];
    let named = |set: Vec<(&str, Vec<u8>)>| -> Members {
        set.into_iter().map(|(name, array)| (format!("{name}.npy"), array)).collect()
    };
    let sets = [keras, medmnist, plain, pairs];
    let methods = [CompressionMethod::Stored, CompressionMethod::Deflated];
    sets.into_iter().zip(methods.into_iter().cycle()).map(|(set, method)| packed(&named(set), method)).collect()
}

/// A file of one array.
fn array(kind: &str, dims: &str, values: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {dims}, }}");
    with_header(header.as_bytes(), values)
}

fn with_header(header: &[u8], values: &[u8]) -> Vec<u8> {
    let mut header = header.to_vec();
    // A long one needs the second version, in which its length has four bytes.
    let long = header.len() > 60_000;
    let head = if long { 12 } else { 10 };
    header.resize((head + header.len() + 1).next_multiple_of(64) - head - 1, b' ');
    header.push(b'\n');
    let mut file = if long { b"\x93NUMPY\x02\x00".to_vec() } else { b"\x93NUMPY\x01\x00".to_vec() };
    match long {
        true => file.extend((header.len() as u32).to_le_bytes()),
        false => file.extend((header.len() as u16).to_le_bytes()),
    }
    [file, header, values.to_vec()].concat()
}

fn packed(members: &Members, method: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        // A name that is there already, or that a zip cannot have, leaves its member out.
        if archive.start_file(name, SimpleFileOptions::default().compression_method(method)).is_ok() {
            archive.write_all(bytes).expect("memory takes all");
        }
    }
    archive.finish().expect("memory takes all").into_inner()
}

fn unpacked(file: &[u8]) -> Option<Members> {
    let mut archive = ZipArchive::new(Cursor::new(file)).ok()?;
    let mut members = Vec::new();
    for at in 0..archive.len().min(16) {
        let member = archive.by_index(at).ok()?;
        let name = member.name().ok()?.into_owned();
        let mut bytes = Vec::new();
        member.take(1 << 20).read_to_end(&mut bytes).ok()?;
        members.push((name, bytes));
    }
    (!members.is_empty()).then_some(members)
}

fn mutate(input: &[u8], donor: &[u8], random: &mut Random) -> Vec<u8> {
    let Some(mut members) = unpacked(input).filter(|_| !random.once_in(3)) else {
        return bytes::mutate(input, donor, random);
    };
    for _ in 0..random.few(3) {
        let at = random.below(members.len());
        match random.below(8) {
            0 => members[at].1 = bytes::mutate(&members[at].1, donor, random),
            1 => {
                const NAMES: &[&str] = &[
                    "x_train",
                    "y_train",
                    "x_test",
                    "y_test",
                    "x_val",
                    "y_val",
                    "train_images",
                    "val_labels",
                    "images",
                    "labels",
                    "extra",
                    "../x",
                    "",
                ];
                members[at].0 = format!("{}.npy", random.pick(NAMES));
            }
            2 if members.len() > 1 => drop(members.remove(at)),
            3 => {
                let other = members[random.below(members.len())].1.clone();
                members[at].1 = other;
            }
            _ => members[at].1 = header(&members[at].1, random),
        }
    }
    packed(&members, random.pick(&[CompressionMethod::Stored, CompressionMethod::Deflated]))
}

/// Another header before the same values.
fn header(array: &[u8], random: &mut Random) -> Vec<u8> {
    let end = array.iter().position(|&byte| byte == b'\n').map_or(array.len().min(10), |at| at + 1);
    let kind = random.pick(&[
        "'|u1'",
        "'<i8'",
        "'<u2'",
        "'>i4'",
        "'<f4'",
        "'<f8'",
        "'|b1'",
        "'|S3'",
        "'<U5'",
        "'|O'",
        "'<u0'",
        "'|u99999999'",
        "'<M8[ns]'",
        "'|V4'",
        "''",
        "'x'",
        "[('a', '|u1'), ('b', '<i4')]",
        "[('a', [('b', [('c', '<f8')])])]",
        "None",
    ]);
    let extent = |random: &mut Random| {
        let text = random.pick(&[
            "0",
            "1",
            "2",
            "4",
            "5",
            "6",
            "3",
            "1",
            "4294967295",
            "4294967296",
            "18446744073709551615",
            "1000000000",
            "-1",
            "1e3",
            "'2'",
            "9999999999999999999999",
        ]);
        text.to_owned()
    };
    let count = if random.once_in(50) { 20_000 } else { random.below(6) };
    let dims: Vec<String> = (0..count).map(|_| extent(random)).collect();
    let dims = match random.below(8) {
        0 => format!("({})", dims.join(", ")),
        1 => format!("[{}]", dims.join(", ")),
        2 => {
            let deep = random.pick(&[2, 24, 200, 10_000]);
            format!("{}1,{}", "(".repeat(deep), ")".repeat(deep))
        }
        _ => format!("({},)", dims.join(", ")),
    };
    let order = random.pick(&["False", "False", "False", "True", "None", "0"]);
    let text = match random.below(10) {
        0 => format!("{{'descr': {kind}, 'shape': {dims}, }}"),
        1 => format!("{{'descr': {kind}, 'fortran_order': {order}, 'shape': {dims}, 'more': {dims}, }}"),
        2 => "{".repeat(random.pick(&[1, 24, 5000])),
        _ => format!("{{'descr': {kind}, 'fortran_order': {order}, 'shape': {dims}, }}"),
    };
    with_header(text.as_bytes(), &array[end..])
}

fn attempt(path: &Path) -> Result<(), Error> {
    super::open_and_read(path, None)
}
