//! Tables as rows of cells, read one after the other: CSV, and Parquet where the program has it.

use std::cell::Cell;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;

use crate::DataError;

/// Bytes of a row, at most: more is a quotation mark that was never closed.
const MOST_ROW: u64 = 1 << 20;
/// Columns, at most.
pub(super) const MOST_COLUMNS: usize = 10_000;

/// A file with a table.
#[derive(Debug, Clone)]
pub(super) enum Input {
    /// CSV on disk, gzipped or not; with tabs if its name says `.tsv`.
    Csv(PathBuf),
    /// CSV in the program.
    Embedded(&'static str, &'static [u8]),
    /// Parquet on disk.
    Parquet(PathBuf),
}

/// A row of a table.
pub(super) struct Line<'a> {
    /// Where it is in the file: its line, or, of Parquet, its row, both from 1.
    pub number: u64,
    /// As many as the header has names.
    pub cells: Vec<&'a str>,
}

impl Input {
    /// What to call it in messages.
    pub fn name(&self) -> String {
        match self {
            Input::Csv(path) | Input::Parquet(path) => path.display().to_string(),
            Input::Embedded(name, _) => (*name).to_owned(),
        }
    }

    /// Where a row stands in it, in words.
    pub fn place(&self, number: u64) -> String {
        match self {
            Input::Parquet(_) => format!("{}, row {number}", self.name()),
            _ => format!("{}, line {number}", self.name()),
        }
    }

    /// An error about a row, or about a cell of it.
    pub fn error(&self, number: u64, column: Option<&str>, what: impl Into<String>) -> DataError {
        let place = match column {
            Some(column) => format!("{}, column `{column}`", self.place(number)),
            None => self.place(number),
        };
        DataError::Table { place, what: what.into() }
    }

    /// The names of the columns.
    pub fn header(&self) -> Result<Vec<String>, DataError> {
        match self {
            Input::Parquet(path) => parquet::header(path),
            _ => self.csv().map(|(_, header)| header),
        }
    }

    /// Goes through all rows after the header.
    pub fn each(&self, mut row: impl FnMut(Line<'_>) -> Result<(), DataError>) -> Result<(), DataError> {
        let (mut reader, header) = match self {
            Input::Parquet(path) => return parquet::each(path, &mut row),
            _ => self.csv()?,
        };
        let mut record = csv::ByteRecord::new();
        while reader.next(self, &mut record)? {
            let number = record.position().map_or(0, csv::Position::line);
            let (found, wanted) = (record.len(), header.len());
            if found != wanted {
                let what =
                    format!("it has {found} cells, and the header {wanted}; quote cells that have commas in them");
                return Err(self.error(number, None, what));
            }
            let cells = record.iter().zip(&header).map(|(cell, column)| {
                std::str::from_utf8(cell).map(str::trim).map_err(|_| {
                    let cell = String::from_utf8_lossy(cell).chars().take(40).collect::<String>();
                    self.error(number, Some(column), format!("\"{cell}\" is not UTF-8; save the table as UTF-8"))
                })
            });
            row(Line { number, cells: cells.collect::<Result<_, _>>()? })?;
        }
        Ok(())
    }

    /// A reader behind the header.
    fn csv(&self) -> Result<(Csv, Vec<String>), DataError> {
        let (stream, tabs): (Box<dyn Read>, bool) = match self {
            Input::Csv(path) => {
                let file = crate::input::open(path).map_err(DataError::io("open", path))?;
                (unpacked(BufReader::new(file)).map_err(DataError::io("read", path))?, is_tsv(path))
            }
            Input::Embedded(name, bytes) => {
                let stream = unpacked(Cursor::new(*bytes)).map_err(DataError::io("read", Path::new(name)))?;
                (stream, false)
            }
            Input::Parquet(_) => unreachable!("Parquet files are read by another function"),
        };
        let read = Rc::new(Cell::new(0));
        let stream = Guarded { stream, read: read.clone() };
        let delimiter = if tabs { b'\t' } else { b',' };
        let reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(stream);
        let mut reader = Csv { reader, read };
        let mut record = csv::ByteRecord::new();
        if !reader.next(self, &mut record)? {
            return Err(self.error(1, None, "there is nothing in it; the first line must name the columns"));
        }
        let name = |(index, cell): (usize, &[u8])| {
            let text = std::str::from_utf8(cell).map_err(|_| {
                self.error(1, None, format!("the name of column {} is not UTF-8; save the table as UTF-8", index + 1))
            })?;
            Ok(text.trim_start_matches('\u{feff}').trim().to_owned())
        };
        let header = record.iter().enumerate().map(name).collect::<Result<Vec<String>, DataError>>()?;
        self.check_header(&header)?;
        Ok((reader, header))
    }

    fn check_header(&self, header: &[String]) -> Result<(), DataError> {
        if header.len() > MOST_COLUMNS {
            return Err(self.error(1, None, format!("it has {} columns, more than {MOST_COLUMNS}", header.len())));
        }
        if let [only] = header
            && let Some(other) = [';', '\t', '|'].into_iter().find(|&other| only.contains(other))
        {
            let what =
                format!("there is one column; its cells seem to be separated by {other:?}, and commas are expected");
            return Err(self.error(1, None, what));
        }
        let mut names: Vec<&String> = header.iter().filter(|name| !name.is_empty()).collect();
        names.sort();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(self.error(1, None, format!("two columns are called `{}`", pair[0]))),
            None => Ok(()),
        }
    }
}

/// Whether a file is a table in CSV, by its name.
pub fn is_table(path: &Path) -> bool {
    let name = path.file_name().map_or(String::new(), |name| name.to_string_lossy().to_lowercase());
    [".csv", ".csv.gz", ".tsv", ".tsv.gz"].iter().any(|ending| name.ends_with(ending))
}

fn is_tsv(path: &Path) -> bool {
    let name = path.file_name().map_or(String::new(), |name| name.to_string_lossy().to_lowercase());
    name.ends_with(".tsv") || name.ends_with(".tsv.gz")
}

/// A stream, gunzipped if its first bytes say so.
fn unpacked(mut stream: impl Read + 'static) -> io::Result<Box<dyn Read>> {
    let mut magic = Vec::new();
    stream.by_ref().take(2).read_to_end(&mut magic)?;
    let gzipped = magic == [0x1f, 0x8b];
    let whole = Cursor::new(magic).chain(stream);
    Ok(if gzipped { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) })
}

/// Rows of bytes.
struct Csv {
    reader: csv::Reader<Guarded>,
    /// Bytes read for the present row, those that the reader has in reserve included.
    read: Rc<Cell<u64>>,
}

impl Csv {
    /// The next row; false at the end.
    fn next(&mut self, input: &Input, record: &mut csv::ByteRecord) -> Result<bool, DataError> {
        self.read.set(0);
        let number = self.reader.position().line();
        self.reader.read_byte_record(record).map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(error) if is_fault(&error) => input.error(number, None, error.to_string()),
            csv::ErrorKind::Io(source) => DataError::Io { action: "read", path: input.name().into(), source },
            other => input.error(number, None, format!("{other:?}")),
        })
    }
}

/// Whether the content is at fault and not the machine.
fn is_fault(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof)
}

/// A stream that ends with an error if one row takes too many bytes of it.
struct Guarded {
    stream: Box<dyn Read>,
    read: Rc<Cell<u64>>,
}

impl Read for Guarded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read.get() > MOST_ROW {
            let what = format!("the row has more than {MOST_ROW} bytes; is there a quotation mark that is not closed?");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let got = self.stream.read(buffer)?;
        self.read.set(self.read.get() + got as u64);
        Ok(got)
    }
}

/// Parquet files as cells of text; nulls are empty.
#[cfg(feature = "parquet")]
mod parquet {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    use std::fs::File;

    use super::{DataError, Input, Line, Path};

    fn open(path: &Path) -> Result<SerializedFileReader<File>, DataError> {
        let file = crate::input::open(path).map_err(DataError::io("open", path))?;
        SerializedFileReader::new(file).map_err(|error| broken(path, error))
    }

    fn broken(path: &Path, error: impl std::fmt::Display) -> DataError {
        DataError::Table { place: path.display().to_string(), what: error.to_string() }
    }

    pub fn header(path: &Path) -> Result<Vec<String>, DataError> {
        let reader = open(path)?;
        let header: Vec<String> = reader
            .metadata()
            .file_metadata()
            .schema()
            .get_fields()
            .iter()
            .map(|field| field.name().to_owned())
            .collect();
        Input::Parquet(path.to_path_buf()).check_header(&header)?;
        Ok(header)
    }

    pub fn each(path: &Path, row: &mut impl FnMut(Line<'_>) -> Result<(), DataError>) -> Result<(), DataError> {
        let reader = open(path)?;
        let rows = reader.get_row_iter(None).map_err(|error| broken(path, error))?;
        for (index, found) in rows.enumerate() {
            let found = found.map_err(|error| broken(path, error))?;
            let number = index as u64 + 1;
            let cell = |(_, field): (&String, &Field)| match field {
                // What is neither a number nor text counts as missing; a column of nothing else is left out, and that is said.
                Field::Null | Field::Group(_) | Field::ListInternal(_) | Field::MapInternal(_) | Field::Bytes(_) => {
                    String::new()
                }
                Field::Str(text) => text.trim().to_owned(),
                Field::Float(value) => value.to_string(),
                Field::Double(value) => value.to_string(),
                other => other.to_string(),
            };
            let cells: Vec<String> = found.get_column_iter().map(cell).collect();
            row(Line { number, cells: cells.iter().map(String::as_str).collect() })?;
        }
        Ok(())
    }
}

/// What a program says that was built without Parquet.
#[cfg(not(feature = "parquet"))]
mod parquet {
    use super::{DataError, Line, Path};

    fn none<T>(path: &Path) -> Result<T, DataError> {
        let what = "this program was built without Parquet, which takes long to build; \
                    `cargo build --release --features parquet` builds it with Parquet";
        Err(DataError::Table { place: path.display().to_string(), what: what.to_owned() })
    }

    pub fn header(path: &Path) -> Result<Vec<String>, DataError> {
        none(path)
    }

    pub fn each(path: &Path, _: &mut impl FnMut(Line<'_>) -> Result<(), DataError>) -> Result<(), DataError> {
        none(path)
    }
}
