//! A folder of images per class, as ImageNet and most photo collections are laid out:
//!
//! ```text
//! photos/train/cat/1.jpg  …     or, without parts     photos/cat/1.jpg  …
//! photos/test/cat/9.jpg   …     (test, val, validation or valid)
//! ```
//!
//! Classes are numbered in the order of their names, or in that of the lines of `photos/classes.txt`, which may name more
//! than there are images of: so a net that knows a thousand classes can be judged by a few images. Then `test` alone will do.
//! Files count whose names end as those of pictures do; images are decoded when a batch needs them.

use std::path::{Path, PathBuf};

use super::{Frame, Part, Purpose, encoded, has_ending, listed, own};
use crate::data::pixels::{ENDINGS, Encoded};
use crate::data::{DataError, Dataset};

/// What the part is called that nets are judged by; the first that is there is read.
const TEST: &[&str] = &["test", "val", "validation", "valid"];
/// The names of the classes, where folders do not say them all.
const CLASSES: &str = "classes.txt";

pub(super) fn open(root: &Path, frame: Frame, purpose: Purpose) -> Result<Dataset, DataError> {
    let file = root.join(CLASSES);
    let named = if file.is_file() { Some(read_names(&file)?) } else { None };
    let test = TEST.iter().map(|name| root.join(name)).find(|path| path.is_dir());
    let train = root.join("train");
    if let (Some(names), Some(test), false) = (&named, &test, train.is_dir()) {
        let test = part(&listed(test, Path::is_dir)?, names, &file)?;
        return encoded(root, names.clone(), Part::default(), Some(test), frame, purpose);
    }
    let (train, test) = if train.is_dir() { (train, test) } else { (root.to_path_buf(), None) };
    let classes = listed(&train, Path::is_dir)?;
    if classes.len() < 2 {
        let what =
            format!("there must be a folder of images for each class, at least two; there are {}", classes.len());
        return Err(own(&train, what));
    }
    let source = if named.is_some() { &file } else { &train };
    let names = named.unwrap_or_else(|| classes.iter().map(|path| name(path)).collect());
    let test = test.map(|test| part(&listed(&test, Path::is_dir)?, &names, source)).transpose()?;
    let train = part(&classes, &names, source)?;
    encoded(root, names, train, test, frame, purpose)
}

/// A class per line, in the order of the labels.
fn read_names(file: &Path) -> Result<Vec<String>, DataError> {
    let text = crate::input::read_text(file).map_err(DataError::io("read", file))?;
    let names: Vec<String> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let twice = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name));
    match twice {
        Some((_, name)) => Err(own(file, format!("the class `{name}` is there twice"))),
        None if names.len() < 2 => Err(own(file, "there must be at least two classes, a name per line")),
        None => Ok(names),
    }
}

/// The images of these class folders; `source` is where the names of classes come from.
fn part(folders: &[PathBuf], names: &[String], source: &Path) -> Result<Part, DataError> {
    let mut part = Part::default();
    for folder in folders {
        let label = names.iter().position(|class| *class == name(folder)).ok_or_else(|| {
            own(folder, format!("there is no class of this name in {}; it has: {}", source.display(), shortened(names)))
        })?;
        let files = listed(folder, |path| ENDINGS.iter().any(|ending| has_ending(path, ending)))?;
        if files.is_empty() {
            return Err(own(folder, "the class is empty: there is no picture in it"));
        }
        part.labels.extend(std::iter::repeat_n(label as u32, files.len()));
        part.images.extend(files.into_iter().map(Encoded::File));
    }
    Ok(part)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The first names of a list that may have thousands.
fn shortened(names: &[String]) -> String {
    let shown = names.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > 10 { format!("{shown} … ({} in all)", names.len()) } else { shown }
}
