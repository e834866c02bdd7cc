//! One array of a NumPy archive: its header, and its values as pixels or as labels.
//!
//! The header is a Python literal, of which only what NumPy writes of a plain array is understood:
//!
//! ```text
//! {'descr': '<u2', 'fortran_order': False, 'shape': (60000, 28, 28), }
//! ```
//!
//! How many bytes it may announce is bounded by what the archive can hold.

use std::io::{self, Read};
use std::path::Path;

use half::f16;

use super::{MOST_CLASSES, own};
use crate::DataError;

/// The most bytes of a header; those of plain arrays have 118 or fewer.
const LONGEST_HEADER: usize = 1 << 12;
/// What a byte of a deflated stream can unpack to at most.
const MOST_UNPACKED: u64 = 1032;

/// An array whose values are to be read.
pub(super) struct Array<'a> {
    path: &'a Path,
    pub name: &'a str,
    kind: Kind,
    pub dims: Vec<usize>,
    /// How many values it has.
    count: usize,
    values: Box<dyn Read + 'a>,
}

/// The type of the values.
struct Kind {
    /// As NumPy writes it: `|u1`, `<i8` …
    text: String,
    form: Form,
    /// Bytes of a value.
    size: usize,
    big_endian: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Bool,
    Unsigned,
    Signed,
    Float,
}

impl<'a> Array<'a> {
    /// Reads the header of an array that takes so many bytes in its archive.
    pub fn open(
        path: &'a Path,
        name: &'a str,
        packed: u64,
        mut stream: impl Read + 'a,
    ) -> Result<Array<'a>, DataError> {
        let broken = |what: String| own(path, format!("`{name}` cannot be read: {what}"));
        let header = Header::read(&mut stream).map_err(|error| broken(error.to_string()))?;
        let Header { kind, by_columns, dims } = header;
        if by_columns {
            return Err(broken("its values stand column by column; save np.ascontiguousarray(…) of it".to_owned()));
        }
        let kind = Kind::parse(kind)
            .map_err(|text| broken(format!("values of type {text} are none that are known; numbers are")))?;
        let count = dims.iter().try_fold(1, |count: usize, &extent| count.checked_mul(extent));
        let fits = |&count: &usize| {
            count.checked_mul(kind.size).is_some_and(|bytes| bytes as u64 <= packed.saturating_mul(MOST_UNPACKED))
        };
        let count = count.filter(fits).ok_or_else(|| {
            broken(format!("it announces {dims:?} values of type {}, more than its {packed} bytes can hold", kind.text))
        })?;
        Ok(Array { path, name, kind, dims, count, values: Box::new(stream) })
    }

    /// The values as unsigned bytes, if they are whole numbers from 0 to 255.
    pub fn into_bytes(mut self) -> Result<(Vec<usize>, Vec<u8>), DataError> {
        let mut bytes = Vec::new();
        if self.kind.form == Form::Unsigned && self.kind.size == 1 {
            let count = self.count;
            (&mut self.values).take(count as u64).read_to_end(&mut bytes).map_err(|error| self.broken(error))?;
            if bytes.len() < count {
                return Err(self.cut(bytes.len(), count));
            }
            return Ok((self.dims, bytes));
        }
        let (mut least, mut most, mut finite) = (f64::INFINITY, f64::NEG_INFINITY, true);
        let form = self.kind.form;
        self.each(|value| {
            let number = value.number();
            (least, most, finite) = (least.min(number), most.max(number), finite && number.is_finite());
            if let Value::Whole(byte @ 0..=255) = value {
                bytes.push(byte as u8);
            }
        })?;
        if matches!(form, Form::Unsigned | Form::Signed) && bytes.len() == self.count {
            return Ok((self.dims, bytes));
        }
        let (name, kind) = (self.name, &self.kind.text);
        let what = match finite {
            false => "some are NaN or infinite".to_owned(),
            true => format!("they go from {least} to {most}; {}", advice(form, self.kind.size, least, most)),
        };
        Err(own(self.path, format!("`{name}` has values of type {kind} and images are bytes from 0 to 255: {what}")))
    }

    /// The values as labels; none if all are −1, as they are where nobody may know them.
    pub fn into_labels(mut self) -> Result<Option<Vec<u32>>, DataError> {
        let (name, path) = (self.name, self.path);
        if !matches!(self.dims[..], [_] | [_, 1]) {
            let what = match self.dims[..] {
                [_, _] => "; of one-hot rows y.argmax(axis=1) gives those",
                _ => "",
            };
            return Err(own(
                path,
                format!("`{name}` is {:?}; labels are N or N×1 numbers of classes{what}", self.dims),
            ));
        }
        if !matches!(self.kind.form, Form::Unsigned | Form::Signed) {
            let kind = &self.kind.text;
            let what = format!("`{name}` has values of type {kind}; labels must be whole numbers: y.astype('int64')");
            return Err(own(path, what));
        }
        let (mut labels, mut unknown, mut wrong) = (Vec::new(), 0, None);
        let mut at = 0;
        self.each(|value| {
            match value {
                Value::Whole(label) if (0..MOST_CLASSES as i64).contains(&label) => labels.push(label as u32),
                Value::Whole(-1) => {
                    unknown += 1;
                    wrong = wrong.or(Some((at, -1)));
                }
                Value::Whole(other) => wrong = wrong.or(Some((at, other))),
                Value::Real(_) => {}
            }
            at += 1;
        })?;
        match wrong {
            None => Ok(Some(labels)),
            Some(_) if unknown == self.count => Ok(None),
            Some((at, number)) => Err(own(path, format!("`{name}` has {number} as the label of sample {at}"))),
        }
    }

    /// Hands out all values.
    fn each(&mut self, mut f: impl FnMut(Value)) -> Result<(), DataError> {
        let size = self.kind.size;
        let mut chunk = vec![0; size << 13];
        let mut left = self.count;
        while left > 0 {
            let bytes = left.min(chunk.len() / size) * size;
            if let Err(error) = self.values.read_exact(&mut chunk[..bytes]) {
                return Err(match error.kind() {
                    io::ErrorKind::UnexpectedEof => self.cut((self.count - left) * size, self.count * size),
                    _ => self.broken(error),
                });
            }
            chunk[..bytes].chunks_exact(size).for_each(|bytes| f(self.kind.value(bytes)));
            left -= bytes / size;
        }
        Ok(())
    }

    fn cut(&self, found: usize, expected: usize) -> DataError {
        let name = self.name;
        own(self.path, format!("`{name}` cannot be read: it ends after {found} of {expected} bytes, or a little later"))
    }

    fn broken(&self, error: io::Error) -> DataError {
        own(self.path, format!("`{}` cannot be read: {error}", self.name))
    }
}

/// A value of an array.
enum Value {
    /// Beyond 64 bits with a sign it is cut to those.
    Whole(i64),
    Real(f64),
}

impl Value {
    fn number(&self) -> f64 {
        match *self {
            Value::Whole(number) => number as f64,
            Value::Real(number) => number,
        }
    }
}

impl Kind {
    fn parse(text: String) -> Result<Kind, String> {
        let form = match text.get(1..2) {
            Some("b") => Form::Bool,
            Some("u") => Form::Unsigned,
            Some("i") => Form::Signed,
            Some("f") => Form::Float,
            _ => return Err(text),
        };
        let big_endian = text.starts_with('>');
        match (form, text.get(2..)) {
            (Form::Bool | Form::Unsigned | Form::Signed, Some("1")) => Ok(Kind { size: 1, text, form, big_endian }),
            (Form::Unsigned | Form::Signed | Form::Float, Some("2")) => Ok(Kind { size: 2, text, form, big_endian }),
            (Form::Unsigned | Form::Signed | Form::Float, Some("4")) => Ok(Kind { size: 4, text, form, big_endian }),
            (Form::Unsigned | Form::Signed | Form::Float, Some("8")) => Ok(Kind { size: 8, text, form, big_endian }),
            _ => Err(text),
        }
    }

    fn value(&self, bytes: &[u8]) -> Value {
        let mut word = [0; 8];
        word[..self.size].copy_from_slice(bytes);
        if self.big_endian {
            word[..self.size].reverse();
        }
        let (word, unused) = (u64::from_le_bytes(word), 64 - 8 * self.size as u32);
        match (self.form, self.size) {
            (Form::Bool | Form::Unsigned, _) => Value::Whole(i64::try_from(word).unwrap_or(i64::MAX)),
            // Shifted up and down again, so that the sign reaches all bits.
            (Form::Signed, _) => Value::Whole((word << unused) as i64 >> unused),
            (Form::Float, 2) => Value::Real(f16::from_bits(word as u16).into()),
            (Form::Float, 4) => Value::Real(f32::from_bits(word as u32).into()),
            (Form::Float, _) => Value::Real(f64::from_bits(word)),
        }
    }
}

/// How values of this type and range become bytes.
fn advice(form: Form, size: usize, least: f64, most: f64) -> String {
    let scaled = || "((x - x.min()) * (255.0 / (x.max() - x.min()))).astype('uint8')".to_owned();
    match form {
        Form::Bool => "(255 * x.astype('uint8')) makes black and white of them".to_owned(),
        Form::Float if least >= 0.0 && most <= 1.0 => {
            "(255 * x).round().astype('uint8') makes bytes of them".to_owned()
        }
        Form::Float if least >= 0.0 && most <= 255.0 => "x.round().astype('uint8') makes bytes of them".to_owned(),
        Form::Float if least >= -1.0 && most <= 1.0 => {
            "(127.5 * (x + 1)).round().astype('uint8') makes bytes of them".to_owned()
        }
        Form::Signed if size == 1 => "x.view('uint8') gives bytes back that were saved with a sign; \
             (x.astype('int16') + 128).astype('uint8') is for values around 0"
            .to_owned(),
        Form::Unsigned | Form::Signed if least >= 0.0 && most <= 65_535.0 => {
            let bits = (most as u32).ilog2() + 1;
            match bits {
                ..=12 => format!("(x // {}).astype('uint8') makes bytes of {bits}-bit values", 1 << (bits - 8)),
                _ => "(x // 257).astype('uint8') makes bytes of 16-bit values".to_owned(),
            }
        }
        _ => format!("{} scales their range to that of bytes", scaled()),
    }
}

/// What comes before the values of an array.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    kind: String,
    /// Whether the first axis varies fastest, as Fortran has it.
    by_columns: bool,
    dims: Vec<usize>,
}

impl Header {
    fn read(stream: &mut impl Read) -> io::Result<Header> {
        let refused = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let mut begin = [0; 8];
        stream.read_exact(&mut begin)?;
        if !begin.starts_with(b"\x93NUMPY") {
            return Err(refused("it does not begin as an array of NumPy does".to_owned()));
        }
        // The length has two bytes in version 1 and four in later ones.
        let digits = if begin[6] == 1 { 2 } else { 4 };
        let mut length = [0; 4];
        stream.read_exact(&mut length[..digits])?;
        let length = u32::from_le_bytes(length) as usize;
        if length > LONGEST_HEADER {
            return Err(refused(format!("its header has {length} bytes; {LONGEST_HEADER} are read")));
        }
        let mut text = vec![0; length];
        stream.read_exact(&mut text)?;
        let text = String::from_utf8_lossy(&text);
        Header::parse(&text).ok_or_else(|| {
            let shown: String = text.trim_end().chars().take(100).collect();
            refused(format!("its header is not that of an array of numbers: {shown}"))
        })
    }

    fn parse(text: &str) -> Option<Header> {
        let mut rest = Literal(text);
        let (mut kind, mut by_columns, mut dims) = (None, None, None);
        rest.token("{")?;
        while rest.token("}").is_none() {
            let key = rest.string()?;
            rest.token(":")?;
            match key {
                "descr" => kind = Some(rest.string()?.to_owned()),
                "fortran_order" => by_columns = Some(rest.flag()?),
                "shape" => dims = Some(rest.numbers()?),
                _ => return None,
            }
            if rest.token(",").is_none() {
                rest.token("}")?;
                break;
            }
        }
        rest.0.trim().is_empty().then_some(())?;
        Some(Header { kind: kind?, by_columns: by_columns?, dims: dims? })
    }
}

/// What is left of a Python literal.
struct Literal<'a>(&'a str);

impl<'a> Literal<'a> {
    fn token(&mut self, token: &str) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(token)?;
        Some(())
    }

    fn string(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        let quote = text.chars().next().filter(|c| ['\'', '"'].contains(c))?;
        let (string, rest) = text[1..].split_once(quote)?;
        self.0 = rest;
        Some(string)
    }

    fn flag(&mut self) -> Option<bool> {
        self.token("True").map(|()| true).or_else(|| self.token("False").map(|()| false))
    }

    /// `(60000, 28, 28)`; `(5,)` and `()` for fewer.
    fn numbers(&mut self) -> Option<Vec<usize>> {
        self.token("(")?;
        let (inner, rest) = self.0.split_once(')')?;
        self.0 = rest;
        let inner = inner.trim();
        let inner = inner.strip_suffix(',').unwrap_or(inner);
        if inner.is_empty() {
            return Some(Vec::new());
        }
        // Python 2 wrote `28L`.
        inner.split(',').map(|number| number.trim().trim_end_matches('L').parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_numpy_writes_them() {
        let parse = |text: &str| Header::parse(text).map(|header| (header.kind, header.by_columns, header.dims));
        let plain = "{'descr': '<u2', 'fortran_order': False, 'shape': (60000, 28, 28), }      \n";
        assert_eq!(parse(plain), Some(("<u2".to_owned(), false, vec![60_000, 28, 28])));
        let other = "{\"shape\":(5L,),\"fortran_order\":True,\"descr\":\">f8\"}";
        assert_eq!(parse(other), Some((">f8".to_owned(), true, vec![5])));
        assert_eq!(parse(&plain.replace("60000, 28, 28", "")), Some(("<u2".to_owned(), false, vec![])));
        for (from, to) in
            [("'<u2'", "[('a', '<u2')]"), ("False", "0"), ("28,", "-28,"), ("}", ""), (":", ""), ("descr", "é")]
        {
            assert_eq!(parse(&plain.replace(from, to)), None, "{to}");
        }
        assert_eq!(parse(&format!("{plain}x")), None);
    }
}
