//! A stream of untrusted bytes that knows its name and how far it has been read.
//!
//! Every reader of this room goes through [`Source`], so that three promises are kept in one place: gzip is recognised
//! by content and not by name, every error names file and offset, and memory is taken only for bytes that really came.

use std::io::{self, Cursor, ErrorKind, Read};

use flate2::read::MultiGzDecoder;

use super::DataError;

/// How much is read at a time, and so how far a lying header can make an allocation run ahead of the bytes.
const STEP: usize = 64 << 10;

/// A named stream, gunzipped if it is gzipped, with a cursor for error messages.
pub(super) struct Source<'a> {
    file: String,
    inner: Box<dyn Read + 'a>,
    offset: u64,
}

impl<'a> Source<'a> {
    /// Looks at the first two bytes and puts a decoder in front of the stream where they say gzip.
    pub fn new(file: &str, mut stream: impl Read + 'a) -> Result<Source<'a>, DataError> {
        let mut source = Source { file: file.to_owned(), inner: Box::new(io::empty()), offset: 0 };
        let mut magic = [0; 2];
        let got = fill(&mut stream, &mut magic).map_err(|error| source.broken_stream(error))?;
        // Boxed one by one: the two arms are different types.
        let whole = Cursor::new(magic).take(got as u64).chain(stream);
        if magic == [0x1f, 0x8b] {
            source.file.push_str(" (unpacked)");
            source.inner = Box::new(MultiGzDecoder::new(whole));
        } else {
            source.inner = Box::new(whole);
        }
        Ok(source)
    }

    /// How many bytes have been read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Fills `buffer` as far as the stream reaches and says how far that is.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, DataError> {
        match fill(&mut self.inner, buffer) {
            Ok(got) => {
                self.offset += got as u64;
                Ok(got)
            }
            Err(error) => Err(self.broken_stream(error)),
        }
    }

    /// Fills `buffer`, or says that the file ends within `what`.
    pub fn read_exact(&mut self, buffer: &mut [u8], what: &str) -> Result<(), DataError> {
        let got = self.read(buffer)?;
        if got < buffer.len() {
            return Err(self
                .error(self.offset, format!("the file ends within {what}: {} bytes are missing", buffer.len() - got)));
        }
        Ok(())
    }

    /// Reads `count` bytes into a new vector that grows with what arrives.
    pub fn read_vec(&mut self, count: u64, what: &str) -> Result<Vec<u8>, DataError> {
        let mut values = Vec::new();
        let mut left = count;
        while left > 0 {
            let step = left.min(STEP as u64) as usize;
            let start = values.len();
            values.resize(start + step, 0);
            let got = self.read(&mut values[start..])?;
            if got < step {
                let missing = left - got as u64;
                return Err(self.error(
                    self.offset,
                    format!("the file ends within {what}: {missing} of {count} bytes are missing"),
                ));
            }
            left -= step as u64;
        }
        values.shrink_to_fit();
        Ok(values)
    }

    /// Checks that nothing follows. Reading to the end also makes gzip check its own checksum.
    pub fn expect_end(&mut self) -> Result<(), DataError> {
        let end = self.offset;
        if self.read(&mut [0])? > 0 {
            return Err(self.error(end, "the file goes on after its last value".to_owned()));
        }
        Ok(())
    }

    /// An error about this file.
    pub fn error(&self, offset: u64, what: String) -> DataError {
        DataError::Format { file: self.file.clone(), offset, what }
    }

    /// A read that failed: the content's fault if the decoder says so, the machine's otherwise.
    fn broken_stream(&self, error: io::Error) -> DataError {
        match error.kind() {
            ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof => {
                self.error(self.offset, format!("the gzip stream is broken ({error})"))
            }
            _ => DataError::Io { action: "read", path: self.file.clone().into(), source: error },
        }
    }
}

/// Reads until `buffer` is full or the stream ends.
fn fill(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match stream.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}
