//! What classes are called. Wherever a name is read, it is brought to the Unicode form NFC, so that a folder of a Mac and a list
//! that was written on Linux agree on `é`.

use std::collections::HashMap;
use std::path::Path;

use unicode_normalization::UnicodeNormalization;

use super::{MOST_CLASSES, own};
use crate::DataError;

/// The most bytes of a class's name.
const LONGEST: usize = 1 << 10;
/// The most names that a message lists.
const MOST_SHOWN: usize = 10;

/// The names of the classes of a set, in the order of the labels: no two are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Classes {
    names: Vec<String>,
    labels: HashMap<String, u32>,
    /// Whether they are only the numbers of the labels.
    numbered: bool,
}

impl Classes {
    /// From names and where each stands, for messages; `source` is the file or folder that they are from.
    pub fn new<W: ToString>(source: &Path, all: impl IntoIterator<Item = (String, W)>) -> Result<Classes, DataError> {
        let (mut names, mut labels, mut places) = (Vec::new(), HashMap::new(), Vec::new());
        for (name, place) in all {
            let place = place.to_string();
            if name.len() > LONGEST {
                let what = format!("{place}: a class's name has {} bytes; it may have {LONGEST}", name.len());
                return Err(own(source, what));
            }
            if names.len() == MOST_CLASSES {
                return Err(own(source, format!("it has more than {MOST_CLASSES} classes")));
            }
            let name = normal(&name);
            if let Some(first) = labels.insert(name.clone(), names.len() as u32) {
                let first: &String = &places[first as usize];
                return Err(own(source, format!("the class `{name}` is there twice: {first} and {place}")));
            }
            names.push(name);
            places.push(place);
        }
        Ok(Classes { names, labels, numbered: false })
    }

    /// So many classes that have no names.
    pub fn numbered(classes: usize) -> Classes {
        let names: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
        let labels = names.iter().cloned().zip(0..).collect();
        Classes { names, labels, numbered: true }
    }

    /// From a list, a name per line; lines without any are skipped.
    pub fn read(file: &Path) -> Result<Classes, DataError> {
        let text = crate::input::read_text(file).map_err(DataError::io("read", file))?;
        let lines = text.lines().zip(1..).map(|(line, number)| (line.trim(), number));
        let names = lines.filter(|(name, _)| !name.is_empty());
        let classes = Classes::new(file, names.map(|(name, number)| (name.to_owned(), format!("line {number}"))))?;
        if classes.len() < 2 {
            return Err(own(file, "there must be at least two classes, a name per line"));
        }
        Ok(classes)
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub fn is_numbered(&self) -> bool {
        self.numbered
    }

    /// The label of the class of this name, in any Unicode form.
    pub fn label(&self, name: &str) -> Option<u32> {
        self.labels.get(&normal(name)).copied()
    }
}

/// A name in the form in which names are compared.
pub(super) fn normal(name: &str) -> String {
    name.nfc().collect()
}

/// The name of a class folder.
pub(super) fn of_folder(folder: &Path) -> String {
    normal(&folder.file_name().unwrap_or_default().to_string_lossy())
}

/// The first of many names, and how many there are.
pub(crate) fn shortened<T: AsRef<str>>(names: &[T]) -> String {
    let number = if names.len() > MOST_SHOWN { format!(" ({} in all)", names.len()) } else { String::new() };
    first(names) + &number
}

/// The first of many names.
pub(super) fn first<T: AsRef<str>>(names: &[T]) -> String {
    let shown = names.iter().take(MOST_SHOWN).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if names.len() > MOST_SHOWN { shown + " …" } else { shown }
}
