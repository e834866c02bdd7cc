//! A folder of images per class, as ImageNet and most photo collections are laid out:
//!
//! ```text
//! photos/train/cat/1.jpg  …     or, without parts     photos/cat/1.jpg  …
//! photos/test/cat/9.jpg   …     (test, val, validation or valid)
//! ```
//!
//! Classes are numbered in the order of their names. Only PNG and JPEG files count; images are decoded when a batch needs
//! them.

use std::path::{Path, PathBuf};

use super::{Frame, Part, encoded, has_ending, listed, own};
use crate::data::pixels::Encoded;
use crate::data::{DataError, Dataset};

/// What the part is called that nets are judged by; the first that is there is read.
const TEST: &[&str] = &["test", "val", "validation", "valid"];
const ENDINGS: &[&str] = &["png", "jpg", "jpeg"];

pub(super) fn open(root: &Path, frame: Frame) -> Result<Dataset, DataError> {
    let train = root.join("train");
    let train = if train.is_dir() { train } else { root.to_path_buf() };
    let classes = listed(&train, Path::is_dir)?;
    if classes.len() < 2 {
        let what =
            format!("there must be a folder of images for each class, at least two; there are {}", classes.len());
        return Err(own(&train, what));
    }
    let names: Vec<String> = classes.iter().map(|path| name(path)).collect();
    let test = TEST.iter().map(|name| root.join(name)).find(|path| path.is_dir() && train != root);
    let test = test.map(|test| part(&listed(&test, Path::is_dir)?, &names, &train)).transpose()?;
    let train = part(&classes, &names, &train)?;
    encoded(root, names, train, test, frame)
}

/// The images of these class folders.
fn part(folders: &[PathBuf], names: &[String], train: &Path) -> Result<Part, DataError> {
    let mut part = Part::default();
    for folder in folders {
        let label = names.iter().position(|class| *class == name(folder)).ok_or_else(|| {
            own(folder, format!("there is no class of this name in {}; it has: {}", train.display(), shortened(names)))
        })?;
        let files = listed(folder, |path| ENDINGS.iter().any(|ending| has_ending(path, ending)))?;
        if files.is_empty() {
            return Err(own(folder, "the class is empty: there is no .png, .jpg or .jpeg file in it"));
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
