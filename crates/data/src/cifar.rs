//! The binary forms of CIFAR-10 and CIFAR-100: records of label bytes and 3 × 32 × 32 pixel bytes, with no header at all.
//!
//! ```text
//! CIFAR-10    label                 3,072 pixels
//! CIFAR-100   superclass, class     3,072 pixels      the superclass is not read
//! ```
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

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Ten classes, one byte of label.
    Ten,
    /// A hundred classes, two bytes of label.
    Hundred,
}

impl Form {
    /// Bytes before the pixels, of which the last is the label.
    pub const fn labels(self) -> usize {
        match self {
            Form::Ten => 1,
            Form::Hundred => 2,
        }
    }

    /// Bytes of one record.
    pub const fn record(self) -> usize {
        self.labels() + PIXELS
    }

    /// How many classes there are.
    pub const fn classes(self) -> usize {
        match self {
            Form::Ten => 10,
            Form::Hundred => 100,
        }
    }
}

/// Reads one file of exactly `records` records and appends them to `images` and `labels`.
///
/// `file` is its name for messages. After an error the vectors hold what was read before it.
pub fn read(
    form: Form,
    file: &str,
    stream: impl Read,
    records: usize,
    images: &mut Vec<u8>,
    labels: &mut Vec<u32>,
) -> Result<(), DataError> {
    let mut source = Source::new(file, stream)?;
    let classes = form.classes();
    let mut record = vec![0; form.record()];
    for index in 0..records {
        let start = source.offset() + form.labels() as u64 - 1;
        source.read_exact(&mut record, &format!("record {index} of {records}"))?;
        let (numbers, pixels) = record.split_at(form.labels());
        let label = numbers[numbers.len() - 1];
        if usize::from(label) >= classes {
            return Err(
                source.error(start, format!("record {index} has label {label}, but there are {classes} classes"))
            );
        }
        labels.push(label.into());
        images.extend_from_slice(pixels);
    }
    source.expect_end()
}
