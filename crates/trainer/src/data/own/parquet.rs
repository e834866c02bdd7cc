//! Parquet files as the large hubs publish image sets: a column of encoded images (`image` or `img`, bytes or a group
//! with `bytes`), a column of labels (`label` or `fine_label`), names of classes in the key `huggingface` if it is there.
//!
//! What a file is for is the word with which its name begins: `train-00000-of-00002.parquet`. Encoded images are read into
//! memory, and decoded when a batch needs them.

use std::path::{Path, PathBuf};

use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::{Field, Row};
use ::parquet::schema::types::Type;

use super::{Frame, Part, Purpose, encoded, own};
use crate::data::pixels::Encoded;
use crate::data::{DataError, Dataset};

const IMAGES: &[&str] = &["image", "img"];
const LABELS: &[&str] = &["label", "fine_label"];
/// What the names of files that nets are judged by begin with; the first that is there is read.
const TEST: &[&str] = &["test", "validation", "val", "valid"];
/// More classes than any set has; a label beyond it is a mistake, not a class.
const MOST_CLASSES: i64 = 1 << 20;

pub(super) fn open(root: &Path, files: &[PathBuf], frame: Frame, purpose: Purpose) -> Result<Dataset, DataError> {
    let begins = |file: &&PathBuf, word: &str| {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        name.strip_prefix(word).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    };
    let of = |word: &str| files.iter().filter(|file| begins(file, word)).collect::<Vec<_>>();
    let test = TEST.iter().map(|word| of(word)).find(|files| !files.is_empty());
    let train = match (of("train"), files) {
        (train, _) if !train.is_empty() => train,
        // One file with a name of its own.
        (_, [file]) => vec![file],
        _ => return Err(own(root, "no Parquet file in it has a name that begins with `train`")),
    };
    let mut names = Vec::new();
    let train = part(&train, &mut names)?;
    let test = test.filter(|_| files.len() > 1).map(|files| part(&files, &mut names)).transpose()?;
    let labels = || train.labels.iter().chain(test.iter().flat_map(|part| &part.labels)).copied();
    if names.is_empty() {
        names = (0..=labels().max().unwrap_or(0)).map(|class| class.to_string()).collect();
    }
    if let Some(label) = labels().find(|&label| label as usize >= names.len()) {
        return Err(own(root, format!("there is a sample with label {label}, but there are {} classes", names.len())));
    }
    encoded(root, names, train, test, frame, purpose)
}

/// The samples of these files, in their order; `names` are those of the first file that has any.
fn part(files: &[&PathBuf], names: &mut Vec<String>) -> Result<Part, DataError> {
    let mut part = Part::default();
    for path in files {
        read(path, &mut part, names)?;
    }
    match files.first() {
        Some(path) if part.images.is_empty() => Err(own(path, "there is no sample in it")),
        _ => Ok(part),
    }
}

fn read(path: &Path, part: &mut Part, names: &mut Vec<String>) -> Result<(), DataError> {
    let broken = |error: ParquetError| own(path, format!("it cannot be read as Parquet: {error}"));
    let file = crate::input::open(path).map_err(DataError::io("open", path))?;
    let reader = SerializedFileReader::new(file).map_err(broken)?;
    let metadata = reader.metadata().file_metadata();
    let schema = metadata.schema_descr().root_schema();
    let columns: Vec<&str> = schema.get_fields().iter().map(|field| field.name()).collect();
    let column = |known: &[&str]| {
        let found = schema.get_fields().iter().find(|field| known.contains(&field.name())).cloned();
        found.ok_or_else(|| {
            let what = format!("it needs a column `{}`; it has: {}", known.join("` or `"), columns.join(", "));
            own(path, what)
        })
    };
    let (images, labels) = (column(IMAGES)?, column(LABELS)?);
    if names.is_empty() {
        let text = metadata.key_value_metadata().into_iter().flatten().find(|pair| pair.key == "huggingface");
        *names = text.and_then(|pair| class_names(pair.value.as_deref()?, labels.name())).unwrap_or_default();
    }
    let order = [images.name().to_owned(), labels.name().to_owned()];
    let projection =
        Type::group_type_builder(schema.name()).with_fields(vec![images, labels]).build().map_err(broken)?;
    for (at, row) in reader.get_row_iter(Some(projection)).map_err(broken)?.enumerate() {
        let mut columns = row.map_err(broken)?.into_columns();
        let mut take = |name: &str| {
            let at = columns.iter().position(|(column, _)| column == name).expect("projected");
            columns.swap_remove(at).1
        };
        let (image, label) = (take(&order[0]), take(&order[1]));
        let sample = |what: &str| own(path, format!("row {at}: {what}"));
        let bytes = bytes_of(image).ok_or_else(|| sample("the image has no bytes (a path alone does not do)"))?;
        part.images.push(Encoded::Bytes { name: format!("{}, row {at}", path.display()), bytes: bytes.into() });
        part.labels.push(label_of(&label).ok_or_else(|| sample(&format!("{label} is not the label of a class")))?);
    }
    Ok(())
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

fn label_of(field: &Field) -> Option<u32> {
    let label = match *field {
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
    (0..MOST_CLASSES).contains(&label).then_some(label as u32)
}

/// The names of the classes in the hub's own description of the columns.
fn class_names(text: &str, column: &str) -> Option<Vec<String>> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let names = value["info"]["features"][column]["names"].as_array()?;
    names.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}
