//! The binary form of CIFAR-10: records of one label byte and 3 × 32 × 32 pixel bytes, with no header at all.
//!
//! Without a header the only thing to check is that the length is right and the labels are labels; so the caller says
//! how many records there must be.

use std::io::Read;

use super::DataError;
use super::source::Source;

/// Channels, height, width.
pub const SHAPE: [usize; 3] = [3, 32, 32];
/// Bytes of one image.
pub const PIXELS: usize = 3 * 32 * 32;
/// Bytes of one record.
pub const RECORD: usize = 1 + PIXELS;
/// How many classes there are.
pub const CLASSES: usize = 10;

/// Reads one file of exactly `records` records and appends them to `images` and `labels`.
///
/// `file` is its name for messages. After an error the vectors hold what was read before it.
pub fn read(
    file: &str,
    stream: impl Read,
    records: usize,
    images: &mut Vec<u8>,
    labels: &mut Vec<u32>,
) -> Result<(), DataError> {
    let mut source = Source::new(file, stream)?;
    let mut record = [0; RECORD];
    for index in 0..records {
        let start = source.offset();
        source.read_exact(&mut record, &format!("record {index} of {records}"))?;
        let label = record[0];
        if usize::from(label) >= CLASSES {
            return Err(
                source.error(start, format!("record {index} has label {label}, but there are {CLASSES} classes"))
            );
        }
        labels.push(label.into());
        images.extend_from_slice(&record[1..]);
    }
    source.expect_end()
}
