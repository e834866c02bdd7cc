//! Rows as records of one length, in memory or on disk: any row is found by its number, and a table need not fit into memory.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::{SpooledData, SpooledTempFile, spooled_tempfile};

use crate::arrays::{Array, ArraySource, ArraySpec, Chunk, ElementType, LABELS, TARGETS};
use crate::{DataError, Split};

/// Bytes of records that are held in memory; of more, all are held in a temporary file, without a name, in the system's folder for
/// those.
pub(super) const MOST_IN_MEMORY: usize = 256 << 20;

/// Records of words, one a row.
pub(crate) struct Records {
    kept: Kept,
    /// Words of a record.
    width: usize,
}

enum Kept {
    Memory(Vec<u8>),
    File(Mutex<File>),
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.is_on_disk() { "on disk" } else { "in memory" };
        write!(f, "Records of {} words {place}", self.width)
    }
}

impl Records {
    /// Whether they are in a file.
    pub fn is_on_disk(&self) -> bool {
        matches!(self.kept, Kept::File(_))
    }

    /// Puts one record into `words`.
    fn read(&self, record: u32, words: &mut [u32]) -> io::Result<()> {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(words);
        let start = record as usize * bytes.len();
        match &self.kept {
            Kept::Memory(kept) => bytes.copy_from_slice(&kept[start..start + bytes.len()]),
            Kept::File(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(start as u64))?;
                file.read_exact(bytes)?;
            }
        }
        Ok(())
    }
}

/// Takes records one after the other.
pub(super) struct Writer {
    file: SpooledTempFile,
    width: usize,
}

impl Writer {
    /// For records of so many words, of which so many bytes stay in memory.
    pub fn new(width: usize, most_in_memory: usize) -> Writer {
        Writer { file: spooled_tempfile(most_in_memory), width }
    }

    /// Adds a record.
    pub fn add(&mut self, words: &[u32]) -> Result<(), DataError> {
        debug_assert_eq!(words.len(), self.width);
        self.file.write_all(bytemuck::cast_slice(words)).map_err(io_error("write"))
    }

    /// All records.
    pub fn finish(self) -> Records {
        let kept = match self.file.into_inner() {
            SpooledData::InMemory(bytes) => Kept::Memory(bytes.into_inner()),
            SpooledData::OnDisk(file) => Kept::File(Mutex::new(file)),
        };
        Records { kept, width: self.width }
    }
}

fn io_error(action: &'static str) -> impl FnOnce(io::Error) -> DataError {
    DataError::io(action, Path::new("the temporary file of the table's rows"))
}

/// Some rows of a table.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    records: Arc<Records>,
    /// Which.
    indices: Vec<u32>,
    /// What a record consists of: the arrays of the schema, then, of numbers that are predicted, the target.
    arrays: Arc<[ArraySpec]>,
}

impl PartialEq for Rows {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.records, &other.records) && self.indices == other.indices
    }
}

impl Eq for Rows {}

impl Rows {
    /// All records, the first ones of which are those of other parts.
    pub fn new(records: Arc<Records>, indices: Vec<u32>, arrays: Arc<[ArraySpec]>) -> Rows {
        Rows { records, indices, arrays }
    }

    /// Some of these.
    pub fn select(&self, chosen: &[u32]) -> Rows {
        let indices = chosen.iter().map(|&index| self.indices[index as usize]).collect();
        Rows { indices, ..self.clone() }
    }

    /// Goes through all records.
    pub fn each(&self, mut record: impl FnMut(&[u32])) -> Result<(), DataError> {
        let mut words = vec![0; self.records.width];
        for &index in &self.indices {
            self.records.read(index, &mut words).map_err(io_error("read"))?;
            record(&words);
        }
        Ok(())
    }

    /// Whether they are in a file.
    pub fn is_on_disk(&self) -> bool {
        self.records.is_on_disk()
    }
}

/// The rows of a split as arrays: [`crate::CATEGORIES`] and [`crate::NUMBERS`], as far as there are such columns, then [`LABELS`], or, of
/// numbers that are predicted, [`TARGETS`].
#[derive(Debug)]
pub(crate) struct RowSource {
    split: Arc<Split>,
    rows: Rows,
    arrays: Vec<ArraySpec>,
    labelled: bool,
}

impl RowSource {
    pub fn new(split: Arc<Split>, rows: Rows) -> RowSource {
        let mut arrays = rows.arrays.to_vec();
        let labelled = arrays.last().is_none_or(|spec| spec.name != TARGETS);
        if labelled {
            arrays.push(ArraySpec::new(LABELS, ElementType::U32, []));
        }
        RowSource { split, rows, arrays, labelled }
    }
}

impl ArraySource for RowSource {
    fn samples(&self) -> usize {
        self.split.len()
    }

    fn arrays(&self) -> &[ArraySpec] {
        &self.arrays
    }

    fn read(&self, chunk: Chunk<'_>, arrays: &mut [Array]) -> Result<(), DataError> {
        let mut words = vec![0; self.rows.records.width];
        for &sample in chunk.samples {
            let record = self.rows.indices[sample as usize];
            self.rows.records.read(record, &mut words).map_err(io_error("read"))?;
            let mut rest = words.as_slice();
            for (spec, array) in self.rows.arrays.iter().zip(&mut *arrays) {
                let (own, others) = rest.split_at(spec.extents[0]);
                rest = others;
                match spec.element {
                    ElementType::U32 => array.u32s().extend_from_slice(own),
                    _ => array.f32s().extend(own.iter().map(|&word| f32::from_bits(word))),
                }
            }
            if self.labelled {
                let labels = arrays.last_mut().expect("there is an array of labels");
                labels.u32s().push(self.split.labels()[sample as usize]);
            }
        }
        Ok(())
    }
}
