//! Parquet files as the large hubs publish image sets: a column of encoded images (`image` or `img`, bytes or a group
//! with `bytes`), a column of labels (`label` or `fine_label`), names of classes in the key `huggingface` if it is there.
//!
//! What a file is for is the word with which its name begins: `train-00000-of-00002.parquet`. Encoded images are read into
//! memory, and decoded when a batch needs them. The reader of the format panics at some damaged files; such a panic is caught and
//! becomes an error that names the file.

use std::path::{Path, PathBuf};

use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::{Field, Row};
use ::parquet::schema::types::Type;

use super::names::{Classes, shortened};
use super::{Found, Frame, HeldOut, MOST_CLASSES, Part, Purpose, encoded, own};
use crate::guard::guarded;
use crate::pixels::Encoded;
use crate::{Account, DataError, Dataset};

const IMAGES: &[&str] = &["image", "img"];
const LABELS: &[&str] = &["label", "fine_label"];
/// The parts of a set, and the words with which the names of their files begin.
const PARTS: [&[&str]; 3] = [&["train"], &["val", "valid", "validation"], &["test"]];
/// What a byte of a file can unpack to at most, on average: as much as deflate can give.
const MOST_UNPACKED: u64 = 1032;

pub(super) fn open(root: &Path, files: &[PathBuf], frame: Frame, purpose: Purpose) -> Result<Dataset, DataError> {
    let mut account = Account::default();
    let [mut train, validation, test] = PARTS.map(|words| of_part(files, words));
    // One file with a name of its own.
    if let ([file], true) = (files, train.is_empty() && validation.is_empty() && test.is_empty()) {
        train.push(file);
    }
    if train.is_empty() && validation.is_empty() && test.is_empty() {
        return Err(own(root, "no Parquet file in it has a name that begins with `train`, `val` or `test`"));
    }
    let parts: Vec<&PathBuf> = [&train, &validation, &test].into_iter().flatten().copied().collect();
    let others: Vec<String> = files.iter().filter(|file| !parts.contains(file)).map(|file| name(file)).collect();
    if !others.is_empty() {
        let s = if others.len() == 1 { "" } else { "s" };
        account.left_out.push(format!("the file{s} {}, whose name{s} begin with no part", shortened(&others)));
    }
    for files in [&train, &validation, &test] {
        account.warnings.extend(missing(files));
    }
    let mut names = None;
    let train = match samples(&train, &mut names)? {
        Some((_, Samples::Unlabelled(why))) => {
            return Err(own(root, format!("the training part has no labels: {why}")));
        }
        Some((_, Samples::Labelled(part))) => Some(part),
        None => None,
    };
    let mut held_out = |files: &[&PathBuf]| {
        let Some((origin, samples)) = samples(files, &mut names)? else { return Ok(None) };
        match samples {
            Samples::Labelled(samples) => Ok(Some(HeldOut { samples, origin })),
            Samples::Unlabelled(why) => {
                account.left_out.push(format!("{origin}, as {why}"));
                Ok(None)
            }
        }
    };
    let (validation, test) = (held_out(&validation)?, held_out(&test)?);
    let found = Found { classes: Classes::numbered(0), train, validation, test, account };
    let largest = found.parts().flat_map(|part| &part.labels).copied().max().unwrap_or(0) as usize;
    let classes = names.map_or_else(|| Classes::numbered(largest + 1), |(_, classes)| classes);
    if largest >= classes.len() {
        let number = classes.len();
        return Err(own(root, format!("there is a sample with label {largest}, but there are {number} classes")));
    }
    encoded(root, Found { classes, ..found }, frame, purpose)
}

/// The files whose names begin with one of these words.
fn of_part<'a>(files: &'a [PathBuf], words: &[&str]) -> Vec<&'a PathBuf> {
    let begins = |file: &&PathBuf| {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        let rests = words.iter().filter_map(|word| name.strip_prefix(word));
        rests.into_iter().any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    };
    files.iter().filter(begins).collect()
}

/// A warning if a part has fewer files than their names say: `train-00000-of-00002.parquet`.
fn missing(files: &[&PathBuf]) -> Option<String> {
    let first = name(files.first()?);
    let (_, count) = first.split_once("-of-")?;
    let digits: String = count.chars().take_while(char::is_ascii_digit).collect();
    let count: usize = digits.parse().ok()?;
    (files.len() < count).then(|| format!("{} of {count} files of the part are there, first {first}", files.len()))
}

/// What the files of a part hold.
enum Samples {
    Labelled(Part),
    /// Why there are no labels.
    Unlabelled(String),
}

/// The names of the classes, and the file that they are from.
type Named = Option<(PathBuf, Classes)>;

/// The samples of these files, in their order, and what to call them; none if there are no files. All files that have names of
/// classes must have the same.
fn samples(files: &[&PathBuf], names: &mut Named) -> Result<Option<(String, Samples)>, DataError> {
    let Some(first) = files.first() else { return Ok(None) };
    let origin = match files {
        [_] => name(first),
        several => format!("{} and {} more files", name(first), several.len() - 1),
    };
    let mut read = Table::default();
    for path in files {
        let outcome = guarded(|| read.add(path, names));
        let damaged = |panic| own(path, format!("it cannot be read as Parquet: its pages are damaged ({panic})"));
        outcome.map_err(damaged)??;
    }
    if read.images.is_empty() {
        return Err(own(first, "there is no sample in it"));
    }
    if !read.has_labels {
        return Ok(Some((origin, Samples::Unlabelled(format!("it has no column `{}`", LABELS.join("` or `"))))));
    }
    let known: Option<Vec<u32>> = read.labels.iter().copied().collect();
    let samples = match known {
        Some(labels) => Samples::Labelled(Part { images: read.images, labels }),
        None if read.labels.iter().all(Option::is_none) => Samples::Unlabelled("all labels are -1 or none".to_owned()),
        None => {
            let at = read.labels.iter().position(Option::is_none).unwrap_or(0);
            let image = read.images[at].name();
            return Err(own(first, format!("some samples have the label -1 or none, such as {image}")));
        }
    };
    Ok(Some((origin, samples)))
}

/// The columns of a part that are read.
#[derive(Default)]
struct Table {
    images: Vec<Encoded>,
    /// Of each image; none where nobody knows it.
    labels: Vec<Option<u32>>,
    /// Whether all files have a column of labels.
    has_labels: bool,
}

impl Table {
    fn add(&mut self, path: &Path, names: &mut Named) -> Result<(), DataError> {
        let broken = |error: ParquetError| own(path, format!("it cannot be read as Parquet: {error}"));
        let file = crate::input::open(path).map_err(DataError::io("open", path))?;
        let bytes = file.metadata().map_err(DataError::io("open", path))?.len();
        let reader = SerializedFileReader::new(file).map_err(broken)?;
        let metadata = reader.metadata().file_metadata();
        // An image takes a byte at least, in whatever encoding.
        let mut left = bytes;
        for group in reader.metadata().row_groups() {
            let rows = u64::try_from(group.num_rows()).ok();
            left = rows
                .and_then(|rows| left.checked_sub(rows))
                .ok_or_else(|| own(path, format!("it announces more rows than its {bytes} bytes can hold")))?;
        }
        let schema = metadata.schema_descr().root_schema();
        let column = |known: &[&str]| schema.get_fields().iter().find(|field| known.contains(&field.name())).cloned();
        let Some(images) = column(IMAGES) else {
            let columns: Vec<&str> = schema.get_fields().iter().map(|field| field.name()).collect();
            let what = format!("it needs a column `{}`; it has: {}", IMAGES.join("` or `"), shortened(&columns));
            return Err(own(path, what));
        };
        let labels = column(LABELS);
        self.has_labels = labels.is_some() && (self.images.is_empty() || self.has_labels);
        if let Some(labels) = &labels {
            let text = metadata.key_value_metadata().into_iter().flatten().find(|pair| pair.key == "huggingface");
            let found = text.and_then(|pair| class_names(pair.value.as_deref()?, labels.name()));
            if let Some(found) = found {
                let classes =
                    Classes::new(path, found.into_iter().zip(0..).map(|(name, at)| (name, format!("class {at}"))))?;
                match names {
                    Some((other, known)) if *known != classes => {
                        let other = other.display();
                        return Err(own(path, format!("its classes are not named as those of {other}")));
                    }
                    Some(_) => {}
                    None => *names = Some((path.to_path_buf(), classes)),
                }
            }
        }
        let (image_name, label_name) = (images.name().to_owned(), labels.as_ref().map(|field| field.name().to_owned()));
        let fields = [Some(images), labels].into_iter().flatten().collect();
        let projection = Type::group_type_builder(schema.name()).with_fields(fields).build().map_err(broken)?;
        let mut unpacked = 0u64;
        for (at, row) in reader.get_row_iter(Some(projection)).map_err(broken)?.enumerate() {
            let (mut image, mut label) = (None, None);
            for (name, field) in row.map_err(broken)?.into_columns() {
                if name == image_name {
                    image = Some(field);
                } else if Some(&name) == label_name.as_ref() {
                    label = Some(field);
                }
            }
            let sample = |what: &str| own(path, format!("row {at}: {what}"));
            let image = image.and_then(bytes_of);
            let image = image.ok_or_else(|| sample("the image has no bytes (a path alone does not do)"))?;
            unpacked += image.len() as u64;
            if unpacked > bytes.saturating_mul(MOST_UNPACKED) {
                return Err(own(path, format!("it unpacks to more than {MOST_UNPACKED} times its {bytes} bytes")));
            }
            self.images.push(Encoded::Bytes { name: format!("{}, row {at}", path.display()), bytes: image.into() });
            let label = label.map_or(Ok(None), |label| {
                label_of(&label).ok_or_else(|| sample(&format!("{label} is not the label of a class")))
            })?;
            self.labels.push(label);
        }
        Ok(())
    }
}

/// The bytes of an image, or those in its group.
fn bytes_of(field: Field) -> Option<Vec<u8>> {
    match field {
        Field::Bytes(bytes) => Some(bytes.data().to_vec()),
        Field::Group(row) => bytes_in(row),
        _ => None,
    }
}

fn bytes_in(row: Row) -> Option<Vec<u8>> {
    match row.into_columns().into_iter().find(|(name, _)| name == "bytes")?.1 {
        Field::Bytes(bytes) => Some(bytes.data().to_vec()),
        _ => None,
    }
}

/// A label, or that there is none; nothing if it is no number of a class.
fn label_of(field: &Field) -> Option<Option<u32>> {
    let label = match *field {
        Field::Null => return Some(None),
        Field::Byte(label) => label.into(),
        Field::Short(label) => label.into(),
        Field::Int(label) => label.into(),
        Field::Long(label) => label,
        Field::UByte(label) => label.into(),
        Field::UShort(label) => label.into(),
        Field::UInt(label) => label.into(),
        Field::ULong(label) => i64::try_from(label).ok()?,
        _ => return None,
    };
    match label {
        -1 => Some(None),
        _ => (0..MOST_CLASSES as i64).contains(&label).then_some(Some(label as u32)),
    }
}

/// The names of the classes in the hub's own description of the columns.
fn class_names(text: &str, column: &str) -> Option<Vec<String>> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let names = value["info"]["features"][column]["names"].as_array()?;
    names.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
