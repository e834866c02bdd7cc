//! Reads a table key by key. An unknown key is refused when the table is opened, a value when it is read.

use super::ConfigError;
use super::source::{Entry, Node, Value};
use crate::error::Place;
use crate::error::suggest;
use frugal_report::text::brief;
use frugal_report::units;

/// The most bytes of a text.
const LONGEST: usize = 4096;
/// The most items of a list.
const MOST: usize = 10_000;

/// A table of settings.
pub(super) struct Reader<'a> {
    path: String,
    node: Option<&'a Node>,
    /// Where to point if something is missing.
    place: &'a Place,
}

type Result<T> = std::result::Result<T, ConfigError>;

impl<'a> Reader<'a> {
    /// Opens a table that has only these keys.
    pub fn open(node: &'a Node, path: &str, keys: &[&str]) -> Result<Self> {
        let Value::Table(entries) = &node.value else {
            let message = format!("`{path}` must be a table of settings, not {}", node.value.describe());
            return Err(ConfigError::at(&node.place, message, "not a table"));
        };
        let reader = Self { path: path.to_owned(), node: Some(node), place: &node.place };
        for (key, entry) in entries {
            if !keys.contains(&key.as_str()) {
                let mut message = format!("there is no setting `{}`", reader.path_of(&brief(key, 100)));
                if let Some(Entry { node: Node { value: Value::Text(kind), .. }, .. }) = entries.get("kind") {
                    message += &format!(" with kind \"{}\"", brief(kind, 100));
                }
                return Err(ConfigError::at(&entry.key, message, "unknown").help(suggest(key, keys)));
            }
        }
        Ok(reader)
    }

    /// Opens a table whose keys somebody else checks.
    pub fn any(node: &'a Node, path: &str) -> Self {
        Self { path: path.to_owned(), node: Some(node), place: &node.place }
    }

    /// A table without settings, in the place of a value.
    pub fn empty(node: &'a Node, path: &str) -> Self {
        Self { path: path.to_owned(), node: None, place: &node.place }
    }

    /// Opens a table in this one; one that is absent is like an empty one.
    pub fn section(&self, key: &str, keys: &[&str]) -> Result<Reader<'a>> {
        match self.get(key) {
            Some(node) => Reader::open(node, &self.path_of(key), keys),
            None => Ok(Reader { path: self.path_of(key), node: None, place: self.place }),
        }
    }

    /// The setting `kind` of a table in this one, which decides what other keys that table has.
    pub fn kind(&self, key: &str, known: &[&'static str]) -> Result<Option<&'static str>> {
        let section = Reader { path: self.path_of(key), node: self.get(key), place: self.place };
        section.choice("kind", known)
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&'a Node> {
        match &self.node?.value {
            Value::Table(entries) => entries.get(key).map(|entry| &entry.node),
            _ => None,
        }
    }

    /// Where it stands.
    pub fn place(&self) -> &'a Place {
        self.place
    }

    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// What `found` has, or an error that names the key.
    pub fn required<T>(&self, key: &str, example: &str, found: Option<T>) -> Result<T> {
        found.ok_or_else(|| {
            let message = format!("the setting `{}` is missing", self.path_of(key));
            ConfigError::at(self.place, message, "missing here").help(format!("add for example `{key} = {example}`"))
        })
    }

    /// A number for which `fits` holds and that f32, in which steps reckon, can hold.
    pub fn float(&self, key: &str, range: &str, fits: impl Fn(f64) -> bool) -> Result<Option<f64>> {
        let Some(node) = self.get(key) else { return Ok(None) };
        let number = match node.value {
            Value::Integer(number) => number as f64,
            Value::Float(number) => number,
            _ => f64::NAN,
        };
        if !fits(number) {
            return Err(self.wrong(key, node, &format!("a number {range}")));
        }
        if number != 0.0 && !(number as f32).is_normal() {
            let held = "of those that f32 holds, from 1.2e-38 to 3.4e38";
            return Err(self.wrong(key, node, &format!("a number {range}, {held}")));
        }
        Ok(Some(number))
    }

    /// A whole number from `least` to `most`.
    pub fn integer(&self, key: &str, least: i64, most: i64) -> Result<Option<i64>> {
        let Some(node) = self.get(key) else { return Ok(None) };
        match node.value {
            Value::Integer(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(self.wrong(key, node, &format!("a whole number from {least} to {most}"))),
        }
    }

    /// `true` or `false`.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        let Some(node) = self.get(key) else { return Ok(None) };
        match node.value {
            Value::Flag(flag) => Ok(Some(flag)),
            _ => Err(self.wrong(key, node, "true or false")),
        }
    }

    /// Text that is not empty.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>> {
        let Some(node) = self.get(key) else { return Ok(None) };
        match &node.value {
            Value::Text(text) if text.len() > LONGEST => {
                Err(self.wrong(key, node, &format!("a text of at most {LONGEST} bytes")))
            }
            Value::Text(text) if !text.is_empty() => Ok(Some(text)),
            _ => Err(self.wrong(key, node, "text in quotes")),
        }
    }

    /// One of the names in `known`.
    pub fn choice(&self, key: &str, known: &[&'static str]) -> Result<Option<&'static str>> {
        let Some(node) = self.get(key) else { return Ok(None) };
        match &node.value {
            Value::Text(text) => match known.iter().find(|name| *name == text) {
                Some(name) => Ok(Some(name)),
                None => {
                    let message = format!("`{}` cannot be \"{}\"", self.path_of(key), brief(text, 100));
                    Err(ConfigError::at(&node.place, message, "unknown").help(suggest(text, known)))
                }
            },
            _ => Err(self.wrong(key, node, &format!("one of {}", known.join(", ")))),
        }
    }

    /// The items of a list, each with its path.
    pub fn list(&self, key: &str) -> Result<Option<Vec<(String, &'a Node)>>> {
        let Some(node) = self.get(key) else { return Ok(None) };
        match &node.value {
            Value::List(items) if items.len() > MOST => {
                let wanted = format!("a list of at most {MOST} items");
                let message = format!("`{}` must be {wanted}, not of {}", self.path_of(key), items.len());
                Err(ConfigError::at(&node.place, message, format!("must be {wanted}")))
            }
            Value::List(items) if !items.is_empty() => {
                let path = self.path_of(key);
                Ok(Some(items.iter().enumerate().map(|(index, item)| (format!("{path}[{index}]"), item)).collect()))
            }
            _ => Err(self.wrong(key, node, "a list with at least one item")),
        }
    }

    /// An error about the value of a key.
    pub fn wrong(&self, key: &str, node: &Node, wanted: &str) -> ConfigError {
        wrong(&self.path_of(key), node, wanted)
    }
}

/// An error about a value.
pub(super) fn wrong(path: &str, node: &Node, wanted: &str) -> ConfigError {
    let message = format!("`{path}` must be {wanted}, not {}", node.value.describe());
    ConfigError::at(&node.place, message, format!("must be {wanted}"))
}

/// A number of bytes, or text such as `8GiB`.
pub(super) fn size(section: &Reader<'_>, key: &str) -> Result<Option<u64>> {
    let Some(node) = section.get(key) else { return Ok(None) };
    let size = match &node.value {
        Value::Integer(number) => u64::try_from(*number).ok().filter(|&number| number > 0),
        Value::Text(text) => units::size(text).ok(),
        _ => None,
    };
    size.map(Some).ok_or_else(|| section.wrong(key, node, "a size such as \"8GiB\", \"500MB\" or a number of bytes"))
}
