//! Rows of a table: numbers and categories, and a column that is predicted from them.
//!
//! ```text
//! CSV, Parquet ─▶ target of each row ─▶ schema of the training rows ─▶ records of words ─▶ Split ─▶ batches
//!                 labels, numbers      means, deviations,             in memory, or in a  CATEGORIES, NUMBERS,
//!                                      vocabularies                   file if they are    LABELS or TARGETS
//!                                                                     too many
//! ```
//!
//! A table is read from its files three times, each time row by row. What is learned of it, the [`Schema`], comes from training
//! rows alone.

mod cells;
mod learn;
mod schema;
mod store;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use schema::{Column, ColumnKind, Schema, Target, TargetKind};
pub(crate) use store::{RowSource, Rows};

use crate::arrays::{ArraySpec, ElementType, TARGETS};
use crate::{Account, DataError, Dataset, Purpose, Split, draw, own::names::shortened};
use cells::Input;
pub use cells::is_table;
use learn::Targets;
use store::{MOST_IN_MEMORY, Records, Writer};

/// What is to be read of a table, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableOptions {
    /// The column that is predicted.
    pub target: String,
    /// Whether that is a number, and not a class.
    pub regression: bool,
    /// Columns of categories, whatever their cells look like.
    pub categories: Vec<String>,
    /// Columns of numbers, whatever their cells look like. All other columns hold numbers if all training rows do that have a value,
    /// and categories otherwise.
    pub numbers: Vec<String>,
    /// Columns that are left out.
    pub ignore: Vec<String>,
    /// Categories with fewer training rows count as unknown.
    pub rare: usize,
    /// Bytes of records that may be in memory, if not 256 MiB.
    pub most_in_memory: Option<usize>,
}

/// Whether a cell has no value.
fn is_missing(cell: &str) -> bool {
    cell.is_empty() || ["na", "n/a", "nan", "null"].iter().any(|word| cell.eq_ignore_ascii_case(word))
}

/// The files of a table, by what they are for.
struct Files {
    train: Input,
    validation: Option<(Input, String)>,
    test: Option<(Input, String)>,
    /// Tables in the folder that are none of these.
    others: Vec<String>,
}

/// The embedded table of flights.
const FLIGHTS: [(&str, &[u8]); 3] = [
    ("datasets/flights/train.csv.gz", include_bytes!("../../../../datasets/flights/train.csv.gz")),
    ("datasets/flights/validation.csv.gz", include_bytes!("../../../../datasets/flights/validation.csv.gz")),
    ("datasets/flights/test.csv.gz", include_bytes!("../../../../datasets/flights/test.csv.gz")),
];

/// The name of the embedded table.
pub const EMBEDDED: &str = "flights";

/// Bytes of the embedded table.
pub(crate) fn embedded_bytes() -> u64 {
    FLIGHTS.iter().map(|(_, bytes)| bytes.len() as u64).sum()
}

/// What the columns of the embedded table mean; `given` may change the rest.
pub fn embedded_options(given: TableOptions) -> TableOptions {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<String>>();
    let or = |given: Vec<String>, names: &[&str]| if given.is_empty() { owned(names) } else { given };
    TableOptions {
        target: if given.target.is_empty() { "late".to_owned() } else { given.target },
        categories: or(
            given.categories,
            &["month", "day", "weekday", "hour", "carrier", "flight", "tailnum", "origin", "dest"],
        ),
        numbers: or(given.numbers, &["distance", "humid", "pressure"]),
        ..given
    }
}

/// Opens the embedded table.
///
/// # Errors
/// [`DataError`] if the options name columns that it does not have.
pub fn open_embedded(options: &TableOptions) -> Result<Dataset, DataError> {
    let [train, validation, test] = FLIGHTS.map(|(name, bytes)| Input::Embedded(name, bytes));
    let own = "the set's own".to_owned();
    let files =
        Files { train, validation: Some((validation, own.clone())), test: Some((test, own)), others: Vec::new() };
    learned(EMBEDDED, &files, options, Purpose::Train)
}

/// Opens a table: a CSV or Parquet file, or a folder with `train.csv`, `validation.csv` and `test.csv` (or `.tsv`, `.parquet`, and
/// gzipped ones).
///
/// # Errors
/// [`DataError::Table`] with file, line and column of what cannot be used, [`DataError::Own`], [`DataError::Io`].
pub fn open(path: &Path, options: &TableOptions, purpose: Purpose) -> Result<Dataset, DataError> {
    let files = find(path)?;
    learned(&name_of(path), &files, options, purpose)
}

/// Opens a table as one that a net learned from: its columns mean what they meant there. All rows are test rows, or those of its test
/// part.
///
/// # Errors
/// As [`open`].
pub fn open_as(path: &Path, schema: &Schema, most_in_memory: Option<usize>) -> Result<Dataset, DataError> {
    let Files { train, test, others, .. } = find(path)?;
    let (input, origin) = test.unwrap_or((train, "all rows, as the table has no test part".to_owned()));
    let mut writer = Builder::new(schema, most_in_memory);
    let mut account = Account { test: origin, left_out: no_part(&others).into_iter().collect(), ..Account::default() };
    let encoded = writer.add(&input, true, &mut account)?;
    let (records, arrays) = writer.finish(&mut account);
    let split = encoded.split(&records, &arrays, 0..encoded.rows(), schema)?;
    set(&name_of(path), Arc::new(schema.clone()), split.none(), None, split, account)
}

/// The rows of a table for a net to predict from, in their order; a target column need not be there.
///
/// # Errors
/// As [`open`].
pub fn rows_of(path: &Path, schema: &Schema) -> Result<Split, DataError> {
    let input = input(path).ok_or_else(|| DataError::Own { path: path.into(), what: NO_TABLE.to_owned() })?;
    let mut writer = Builder::new(schema, None);
    let encoded = writer.add(&input, false, &mut Account::default())?;
    let (records, arrays) = writer.finish(&mut Account::default());
    encoded.split(&records, &arrays, 0..encoded.rows(), schema)
}

const NO_TABLE: &str = "it is no table: files end in .csv, .tsv (also with .gz) or .parquet";

fn name_of(path: &Path) -> String {
    let name = path.file_name().map_or("data".into(), |name| name.to_string_lossy().into_owned());
    name.split('.').next().filter(|stem| !stem.is_empty()).unwrap_or("data").to_owned()
}

/// A file as a table, by its name.
fn input(path: &Path) -> Option<Input> {
    if is_table(path) {
        return Some(Input::Csv(path.to_path_buf()));
    }
    let parquet = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"));
    parquet.then(|| Input::Parquet(path.to_path_buf()))
}

/// What is there.
fn find(path: &Path) -> Result<Files, DataError> {
    let own = |what: String| DataError::Own { path: path.to_path_buf(), what };
    if !path.exists() {
        return Err(own("there is no such file or folder".to_owned()));
    }
    if !path.is_dir() {
        let train = input(path).ok_or_else(|| own(NO_TABLE.to_owned()))?;
        return Ok(Files { train, validation: None, test: None, others: Vec::new() });
    }
    let (mut found, mut others): (HashMap<&str, PathBuf>, Vec<String>) = Default::default();
    for entry in std::fs::read_dir(path).map_err(DataError::io("list", path))? {
        let file = entry.map_err(DataError::io("list", path))?.path();
        let part = match name_of(&file).to_lowercase().as_str() {
            "train" => "train",
            "val" | "valid" | "validation" => "validation",
            "test" => "test",
            _ if input(&file).is_some() => {
                others.push(file.file_name().unwrap_or_default().to_string_lossy().into_owned());
                continue;
            }
            _ => continue,
        };
        if input(&file).is_some()
            && let Some(other) = found.insert(part, file.clone())
        {
            return Err(own(format!("{} and {} are both its {part} part", other.display(), file.display())));
        }
    }
    let mut part = |name: &str| {
        let file = found.remove(name)?;
        let origin = file.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
        Some((input(&file)?, origin))
    };
    let Some((train, _)) = part("train") else {
        return Err(own("it has no table `train.csv` (or .tsv, .parquet)".to_owned()));
    };
    let (validation, test) = (part("validation"), part("test"));
    others.sort();
    Ok(Files { train, validation, test, others })
}

/// What is said of tables in a folder that are none of its parts.
fn no_part(files: &[String]) -> Option<String> {
    let (file, say) = if files.len() == 1 { ("file", "name says") } else { ("files", "names say") };
    (!files.is_empty()).then(|| format!("the {file} {}, whose {say} no part", shortened(files)))
}

/// A set whose columns are learned from its training rows.
fn learned(name: &str, files: &Files, options: &TableOptions, purpose: Purpose) -> Result<Dataset, DataError> {
    let Files { train, validation, test, others } = files;
    let header = train.header()?;
    let at = check_columns(train, &header, options)?;
    let mut targets = learn::targets(train, at, options)?;
    let classes = if options.regression { Vec::new() } else { targets.sort_classes(train, options)? };
    let (labels, places) = targets.present();
    // Of one table a fifth is the test part, class by class and always the same.
    let (validation, test) = match (validation, test) {
        (Some(only), None) => (None, Some(only)),
        (validation, test) => (validation.as_ref(), test.as_ref()),
    };
    let drawn = (test.is_none() && purpose == Purpose::Train).then(|| draw::divide(&labels, labels.len() / 5, 0));
    let held_out: &[u32] = drawn.as_ref().map_or(&[], |(held_out, _)| held_out);
    let mut learns = vec![false; targets.len()];
    places.iter().for_each(|&place| learns[place as usize] = true);
    held_out.iter().for_each(|&index| learns[places[index as usize] as usize] = false);
    let kind = if options.regression {
        let values = targets.values.iter().zip(&learns).filter(|(_, learns)| **learns).filter_map(|(value, _)| *value);
        learn::moments(values).ok_or_else(|| DataError::Table {
            place: train.name(),
            what: format!("the target column `{}` has no two different numbers in training rows", options.target),
        })?
    } else {
        TargetKind::Class { classes }
    };
    let mut account = Account::default();
    account.left_out.extend(no_part(others));
    let target = Target { name: options.target.clone(), kind };
    let schema = learn::schema(train, &header, target, options, |row| learns[row], &mut account)?;
    drop(targets);

    let mut builder = Builder::new(&schema, options.most_in_memory);
    let of_train = builder.add(train, true, &mut account)?;
    let of_validation = validation.map(|(input, _)| builder.add(input, true, &mut account)).transpose()?;
    let of_test = test.map(|(input, _)| builder.add(input, true, &mut account)).transpose()?;
    let (records, arrays) = builder.finish(&mut account);
    let mut first = 0;
    let mut split = |encoded: &Encoded| {
        let rows = first..first + encoded.rows();
        first = rows.end;
        encoded.split(&records, &arrays, rows, &schema)
    };
    let all = split(&of_train)?;
    let validation_split = of_validation.as_ref().map(&mut split).transpose()?;
    let (train, test_split) = match (&of_test, purpose) {
        (Some(test), _) => (all, split(test)?),
        (None, Purpose::Train) => {
            account.test = "a fifth of all, drawn class by class".to_owned();
            let (held_out, others) = drawn.expect("drawn above, as there is no test part");
            (all.select(&others), all.select(&held_out))
        }
        (None, Purpose::Evaluate) => {
            account.test = "all rows, as the table has no test part".to_owned();
            (all.none(), all)
        }
        (None, Purpose::Check) => {
            let none = all.none();
            (all, none)
        }
    };
    if let Some((_, origin)) = test {
        account.test = origin.clone();
    }
    if let Some((_, origin)) = validation {
        account.validation = origin.clone();
    }
    set(name, Arc::new(schema), train, validation_split, test_split, account)
}

fn set(
    name: &str,
    schema: Arc<Schema>,
    train: Split,
    validation: Option<Split>,
    test: Split,
    account: Account,
) -> Result<Dataset, DataError> {
    let class_names = match &schema.target.kind {
        TargetKind::Class { classes } => classes.clone(),
        TargetKind::Number { .. } => vec![schema.target.name.clone()],
    };
    let set = Dataset::unmeasured(name, class_names, train, test)?;
    Ok(Dataset { schema: Some(schema), validation: validation.map(Arc::new), account, ..set })
}

/// Where the target column is, after a check that all columns that are named are there.
fn check_columns(input: &Input, header: &[String], options: &TableOptions) -> Result<usize, DataError> {
    let find = |setting: &str, name: &String| {
        header.iter().position(|column| column == name).ok_or_else(|| DataError::Table {
            place: input.name(),
            what: format!("there is no column `{name}` (`data.{setting}`); there are: {}", header.join(", ")),
        })
    };
    for (setting, names) in
        [("categories", &options.categories), ("numbers", &options.numbers), ("ignore", &options.ignore)]
    {
        names.iter().try_for_each(|name| find(setting, name).map(drop))?;
    }
    find("target", &options.target)
}

impl Targets {
    fn len(&self) -> usize {
        self.labels.len().max(self.values.len())
    }

    /// The labels of the rows that have a target (0 if that is a number), and their numbers.
    fn present(&self) -> (Vec<u32>, Vec<u32>) {
        let labels = self.labels.iter().copied().chain(self.values.iter().map(|value| value.map(|_| 0)));
        labels.enumerate().filter_map(|(row, label)| Some((label?, row as u32))).unzip()
    }
}

/// Encodes the rows of one table after the other.
struct Builder<'a> {
    schema: &'a Schema,
    writer: Writer,
    /// For each column of categories, in the order of the schema, the row of each in the table of embeddings.
    vocabularies: Vec<HashMap<&'a str, u32>>,
    classes: HashMap<&'a str, u32>,
    arrays: Arc<[ArraySpec]>,
    /// Cells of missing numbers, and of unknown categories.
    gaps: u64,
    unknown: u64,
}

/// What was encoded of a table.
struct Encoded {
    labels: Vec<u32>,
}

impl Encoded {
    fn rows(&self) -> usize {
        self.labels.len()
    }

    fn split(
        &self,
        records: &Arc<Records>,
        arrays: &Arc<[ArraySpec]>,
        rows: std::ops::Range<usize>,
        schema: &Schema,
    ) -> Result<Split, DataError> {
        let indices = (rows.start as u32..rows.end as u32).collect();
        let rows = Rows::new(records.clone(), indices, arrays.clone());
        Split::rows(schema.columns.len(), schema.classes().unwrap_or(1), rows, self.labels.clone())
    }
}

impl<'a> Builder<'a> {
    fn new(schema: &'a Schema, most_in_memory: Option<usize>) -> Builder<'a> {
        let mut next = 0;
        let mut vocabularies = Vec::new();
        for column in &schema.columns {
            if let ColumnKind::Category { vocabulary } = &column.kind {
                // The first row of a column is that of the unknown.
                let rows = vocabulary.iter().zip(next + 1..).map(|(category, row)| (category.as_str(), row));
                let mut rows: HashMap<&str, u32> = rows.collect();
                rows.insert("", next);
                next += 1 + vocabulary.len() as u32;
                vocabularies.push(rows);
            }
        }
        let classes = match &schema.target.kind {
            TargetKind::Class { classes } => classes.iter().map(String::as_str).zip(0..).collect(),
            TargetKind::Number { .. } => HashMap::new(),
        };
        let mut arrays = schema.arrays();
        if schema.classes().is_none() {
            arrays.push(ArraySpec::new(TARGETS, ElementType::F32, [1]));
        }
        let width = arrays.iter().map(|spec| spec.extents[0]).sum();
        let writer = Writer::new(width, most_in_memory.unwrap_or(MOST_IN_MEMORY));
        Builder { schema, writer, vocabularies, classes, arrays: arrays.into(), gaps: 0, unknown: 0 }
    }

    /// All records; the account hears how many cells were not read as they stand there.
    fn finish(self, account: &mut Account) -> (Arc<Records>, Arc<[ArraySpec]>) {
        if self.gaps > 0 {
            account.notes.push(format!("{} missing numbers count as the mean of their column", self.gaps));
        }
        if self.unknown > 0 {
            account.notes.push(format!("{} missing, rare or new categories count as unknown", self.unknown));
        }
        (Arc::new(self.writer.finish()), self.arrays)
    }

    /// Encodes all rows of a table, less those without a target where one is wanted.
    fn add(&mut self, input: &Input, with_target: bool, account: &mut Account) -> Result<Encoded, DataError> {
        let Builder { schema, writer, vocabularies, classes, gaps, unknown, .. } = self;
        let header = input.header()?;
        let find = |name: &str| header.iter().position(|column| column == name);
        let missing = |name: &str| DataError::Table {
            place: input.name(),
            what: format!("there is no column `{name}`; there are: {}", header.join(", ")),
        };
        let target = find(&schema.target.name);
        if with_target && target.is_none() {
            return Err(missing(&schema.target.name));
        }
        let places = schema.columns.iter().map(|column| find(&column.name).ok_or_else(|| missing(&column.name)));
        let places: Vec<usize> = places.collect::<Result<_, _>>()?;
        let mut labels = Vec::new();
        // Rows without a target.
        let mut untold = 0u64;
        let (mut words, mut numbers) = (Vec::new(), Vec::new());
        input.each(|line| {
            let told = target.map_or("", |at| line.cells[at]);
            if with_target && is_missing(told) {
                untold += 1;
                return Ok(());
            }
            words.clear();
            numbers.clear();
            let mut vocabularies = vocabularies.iter();
            for (column, &place) in schema.columns.iter().zip(&places) {
                let cell = line.cells[place];
                match column.kind {
                    ColumnKind::Number { mean, std, flagged } => {
                        let missing = is_missing(cell);
                        *gaps += u64::from(missing);
                        let value = match missing {
                            true => 0.0,
                            false => (learn::number(input, line.number, &column.name, cell)? - mean) / std,
                        };
                        numbers.push((value as f32).to_bits());
                        if flagged {
                            numbers.push((f32::from(u8::from(missing))).to_bits());
                        }
                    }
                    ColumnKind::Category { .. } => {
                        let rows = vocabularies.next().expect("one for each column of categories");
                        let known = rows.get(cell).filter(|_| !is_missing(cell));
                        *unknown += u64::from(known.is_none());
                        words.push(known.copied().unwrap_or(rows[""]));
                    }
                }
            }
            words.append(&mut numbers);
            match schema.target.kind {
                TargetKind::Class { .. } if with_target => {
                    let class = classes.get(told).ok_or_else(|| {
                        let what = format!("no training row has the class \"{told}\"");
                        input.error(line.number, Some(&schema.target.name), what)
                    })?;
                    labels.push(*class);
                }
                TargetKind::Class { .. } => labels.push(0),
                TargetKind::Number { mean, std } => {
                    let value = match with_target {
                        true => learn::number(input, line.number, &schema.target.name, told)?,
                        false => mean,
                    };
                    words.push((((value - mean) / std) as f32).to_bits());
                    labels.push(0);
                }
            }
            writer.add(&words)
        })?;
        let name = input.name();
        if untold > 0 {
            account.left_out.push(format!("{untold} rows of {name} without a target"));
        }
        if labels.is_empty() {
            return Err(DataError::Table { place: name, what: "there are no rows after the header".to_owned() });
        }
        Ok(Encoded { labels })
    }
}

#[cfg(test)]
mod tests;
