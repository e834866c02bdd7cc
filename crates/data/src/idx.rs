//! The IDX format of MNIST and its relatives.
//!
//! ```text
//! 0  0  type  rank        type 8 = unsigned byte, the only one read here
//! dim × rank              32-bit, big-endian
//! values                  row by row, to the end of the file
//! ```
//!
//! A file may be gzipped; that is seen from its content. Nothing in it is believed before it is checked.

use std::io::Read;

use super::source::Source;
use super::{DataError, Split, dataset};

/// The only element type that image sets use.
const UNSIGNED_BYTE: u8 = 8;
/// Batches of colour images would be rank 4; nothing is known to go beyond.
const MAX_RANK: u8 = 4;

/// An IDX file of unsigned bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    /// The size of each dimension, outermost first.
    pub dims: Vec<usize>,
    /// As many values as the dimensions multiply to.
    pub values: Vec<u8>,
}

/// Reads an IDX file. `file` is its name for messages; a header that announces more than `limit` values is refused.
pub fn read(file: &str, stream: impl Read, limit: u64) -> Result<Idx, DataError> {
    read_from(&mut Source::new(file, stream)?, limit)
}

fn read_from(source: &mut Source, limit: u64) -> Result<Idx, DataError> {
    let mut magic = [0; 4];
    source.read_exact(&mut magic, "the IDX header")?;
    let [zero, also_zero, kind, rank] = magic;
    if (zero, also_zero) != (0, 0) {
        let what = "this is not an IDX file: it does not begin with two zero bytes";
        return Err(source.error(0, what.to_owned()));
    }
    if kind != UNSIGNED_BYTE {
        let what = format!("the values have type 0x{kind:02x}, but only unsigned bytes (0x08) are read");
        return Err(source.error(2, what));
    }
    if rank == 0 || rank > MAX_RANK {
        let what = format!("{rank} dimensions are announced; 1 to {MAX_RANK} are possible");
        return Err(source.error(3, what));
    }

    let mut dims = Vec::new();
    let mut count: u64 = 1;
    for axis in 0..rank {
        let at = source.offset();
        let mut dim = [0; 4];
        source.read_exact(&mut dim, "the dimensions")?;
        let dim = u32::from_be_bytes(dim);
        let product = count.checked_mul(u64::from(dim));
        count = product.filter(|&count| count <= limit).ok_or_else(|| {
            let what = format!("dimension {axis} is {dim}, which makes more than the {limit} values that fit");
            source.error(at, what)
        })?;
        dims.push(dim as usize);
    }

    let values = source.read_vec(count, "the values")?;
    source.expect_end()?;
    Ok(Idx { dims, values })
}

/// Reads a file of images and the file of their labels, `count` of each, into a split.
pub fn read_split(
    images: (&str, impl Read),
    labels: (&str, impl Read),
    count: usize,
    shape: [usize; 3],
    classes: usize,
) -> Result<Split, DataError> {
    let [channels, height, width] = shape;
    // Grey images have no axis of channels.
    let dims = match channels {
        1 => vec![count, height, width],
        _ => vec![count, channels, height, width],
    };
    let limit = dataset::sample_len(shape).and_then(|len| len.checked_mul(count)).unwrap_or(0);
    let pixels = read_dims(&mut Source::new(images.0, images.1)?, &dims, limit)?;

    let mut source = Source::new(labels.0, labels.1)?;
    let values = read_dims(&mut source, &[count], count)?;
    if let Some(at) = values.iter().position(|&label| usize::from(label) >= classes) {
        let what = format!("sample {at} has label {}, but there are {classes} classes", values[at]);
        return Err(source.error(8 + at as u64, what));
    }
    Split::new(shape, classes, pixels, values.into_iter().map(u32::from).collect())
}

/// Reads a file that must have exactly these dimensions.
fn read_dims(source: &mut Source, expected: &[usize], limit: usize) -> Result<Vec<u8>, DataError> {
    let idx = read_from(source, limit as u64)?;
    if idx.dims != expected {
        let what = format!("the dimensions are {}, expected {}", product(&idx.dims), product(expected));
        return Err(source.error(4, what));
    }
    Ok(idx.values)
}

fn product(dims: &[usize]) -> String {
    dims.iter().map(usize::to_string).collect::<Vec<_>>().join("×")
}
