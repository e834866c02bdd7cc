//! TensorBoard's event files, as the few messages of TensorFlow's `event.proto` and `summary.proto` that are needed, and
//! the frame around each.
//!
//! ```text
//! record   length (u64) · masked crc (length) (u32) · message · masked crc (message) (u32), little-endian
//! masked   ((crc >> 15) | (crc << 17)) + 0xa282ead8, of a CRC-32C
//! ```

use prost::Message;
use std::fs::File;
use std::io::{BufReader, Read};

/// What happened at a step.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    /// Counts from 1.
    #[prost(int64, tag = "2")]
    pub step: i64,
    /// In the first event of a file alone.
    #[prost(string, optional, tag = "3")]
    pub file_version: Option<String>,
    /// In all others.
    #[prost(message, optional, tag = "5")]
    pub summary: Option<Summary>,
}

/// What was seen.
#[derive(Clone, PartialEq, Message)]
pub struct Summary {
    /// One by one.
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<Value>,
}

/// A number, a picture or a histogram.
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    /// Its name; what is before the first slash groups it.
    #[prost(string, tag = "1")]
    pub tag: String,
    /// A number.
    #[prost(float, optional, tag = "2")]
    pub simple_value: Option<f32>,
    /// A picture.
    #[prost(message, optional, tag = "4")]
    pub image: Option<Image>,
    /// A histogram.
    #[prost(message, optional, tag = "5")]
    pub histogram: Option<Histogram>,
}

/// A picture.
#[derive(Clone, PartialEq, Message)]
pub struct Image {
    /// Pixels.
    #[prost(int32, tag = "1")]
    pub height: i32,
    /// Pixels.
    #[prost(int32, tag = "2")]
    pub width: i32,
    /// Channels: 1 or 3.
    #[prost(int32, tag = "3")]
    pub colorspace: i32,
    /// As PNG.
    #[prost(bytes = "vec", tag = "4")]
    pub encoded: Vec<u8>,
}

/// How often numbers lie where.
#[derive(Clone, PartialEq, Message)]
pub struct Histogram {
    /// The least.
    #[prost(double, tag = "1")]
    pub min: f64,
    /// The largest.
    #[prost(double, tag = "2")]
    pub max: f64,
    /// How many.
    #[prost(double, tag = "3")]
    pub num: f64,
    /// Σ x.
    #[prost(double, tag = "4")]
    pub sum: f64,
    /// Σ x².
    #[prost(double, tag = "5")]
    pub sum_squares: f64,
    /// The right end of each bucket.
    #[prost(double, repeated, tag = "6")]
    pub bucket_limit: Vec<f64>,
    /// How many lie in each.
    #[prost(double, repeated, tag = "7")]
    pub bucket: Vec<f64>,
}

/// Buckets of a histogram.
const BUCKETS: usize = 64;

impl Histogram {
    /// Of all values that are finite, in buckets of one width; none if there are none.
    pub fn of(values: &[f32]) -> Option<Self> {
        let finite = || values.iter().filter(|value| value.is_finite()).map(|&value| f64::from(value));
        let (min, max) = finite().fold((f64::MAX, f64::MIN), |(min, max), value| (min.min(value), max.max(value)));
        if min > max {
            return None;
        }
        let width = (max - min) / BUCKETS as f64;
        let mut bucket = vec![0.0; BUCKETS];
        for value in finite() {
            let place = if width > 0.0 { ((value - min) / width) as usize } else { 0 };
            bucket[place.min(BUCKETS - 1)] += 1.0;
        }
        // Ascending also where all values are one.
        let step = if width > 0.0 { width } else { min.abs().max(1.0) * 1e-6 };
        Some(Self {
            min,
            max,
            num: bucket.iter().sum(),
            sum: finite().sum(),
            sum_squares: finite().map(|value| value * value).sum(),
            bucket_limit: (1..=BUCKETS).map(|edge| min + edge as f64 * step).collect(),
            bucket,
        })
    }
}

impl Event {
    /// As a record of the file.
    pub fn record(&self) -> Vec<u8> {
        let message = self.encode_to_vec();
        let length = (message.len() as u64).to_le_bytes();
        [&length[..], &masked(&length), &message, &masked(&message)].concat()
    }
}

/// Where the last whole record ends among the first bytes of a file, which is at its beginning.
pub fn whole_records(file: &mut BufReader<&File>, length: u64) -> std::io::Result<u64> {
    const FRAME: u64 = 16;
    let mut end = 0;
    while length - end >= FRAME {
        let mut header = [0; 12];
        file.read_exact(&mut header)?;
        let (message, sum) = header.split_at(8);
        let bytes = u64::from_le_bytes(message.try_into().expect("eight bytes"));
        if masked(message) != *sum || bytes > length - end - FRAME {
            break;
        }
        // The message and its checksum; it is in the file, whose size fits.
        file.seek_relative(bytes as i64 + 4)?;
        end += FRAME + bytes;
    }
    Ok(end)
}

fn masked(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Laid out by hand from the definition of protocol buffers.
    #[test]
    fn a_scalar_is_laid_out_as_published() {
        let value = Value { tag: "a".into(), simple_value: Some(1.0), ..Value::default() };
        let summary = Some(Summary { value: vec![value] });
        let event = Event { wall_time: 2.0, step: 300, summary, ..Event::default() };
        let wanted: Vec<u8> = [
            &[0x09][..],
            &2f64.to_le_bytes(),  // field 1, 64 bits
            &[0x10, 0xac, 0x02],  // field 2, varint 300
            &[0x2a, 10, 0x0a, 8], // field 5, ten bytes: field 1, eight bytes
            &[0x0a, 1, b'a', 0x15],
            &1f32.to_le_bytes(), // field 1, one byte; field 2, 32 bits
        ]
        .concat();
        assert_eq!(event.encode_to_vec(), wanted);
        let record = event.record();
        assert_eq!(record.len(), 8 + 4 + wanted.len() + 4);
        assert_eq!((record[0] as usize, &record[12..12 + wanted.len()]), (wanted.len(), &wanted[..]));
    }

    /// The CRC-32C of "123456789" is 0xe306_9283, as published; masked outside this program.
    #[test]
    fn checksums_are_masked() {
        assert_eq!(masked(b"123456789"), 0xc78a_b0e5u32.to_le_bytes());
    }

    #[test]
    fn a_file_that_was_cut_ends_with_its_last_whole_record() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("events");
        let records: Vec<Vec<u8>> = (0..3).map(|step| Event { step, ..Event::default() }.record()).collect();
        let bytes = records.concat();
        let two = (records[0].len() + records[1].len()) as u64;
        let whole = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            whole_records(&mut BufReader::new(&File::open(&path).unwrap()), bytes.len() as u64).unwrap()
        };
        assert_eq!(whole(&bytes), bytes.len() as u64);
        for cut in 1..records[2].len() {
            assert_eq!(whole(&bytes[..bytes.len() - cut]), two);
        }
        let mut lying = bytes.clone();
        lying[two as usize + 7] = 0xff;
        assert_eq!(whole(&lying), two);
        assert_eq!(whole(&[]), 0);
    }

    #[test]
    fn a_histogram_counts_everything_once() {
        let values: Vec<f32> = (0..1000).map(|i| i as f32 / 100.0 - 3.0).chain([f32::NAN, f32::INFINITY]).collect();
        let histogram = Histogram::of(&values).unwrap();
        assert_eq!((histogram.num, histogram.min), (1000.0, -3.0));
        assert!(histogram.bucket_limit.is_sorted_by(|a, b| a < b));
        for (right, count) in histogram.bucket_limit.iter().zip(&histogram.bucket) {
            assert!((14.0..=17.0).contains(count), "{count} up to {right}");
        }
        let one = Histogram::of(&[0.5; 7]).unwrap();
        assert_eq!((one.bucket[0], one.num), (7.0, 7.0));
        assert!(one.bucket_limit.is_sorted_by(|a, b| a < b));
        assert!(Histogram::of(&[f32::NAN]).is_none());
    }
}
