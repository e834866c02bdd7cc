//! Settings as a tree in which every value knows where it was written: in the file, or in a `--set`.

use super::ConfigError;
use crate::error::{Place, Text};
use frugal_report::text::brief;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub value: Value,
    pub place: Place,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Flag(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Table(BTreeMap<String, Entry>),
    /// Something that no setting is: a date, or a number too large.
    Other(&'static str),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub key: Place,
    pub node: Node,
}

/// A setting that replaces the file's: `--set optimizer.lr=0.1`, or an option that stands for one, as `--epochs 3`.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// What the user wrote, for errors.
    pub written: String,
    /// Dotted path of the setting.
    pub path: String,
    /// The new value, as TOML; text needs no quotes.
    pub value: String,
}

impl Override {
    /// From `path=value`.
    ///
    /// # Errors
    /// If there is no `=`, or a part of the path is empty.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (path, value) = text.split_once('=').ok_or("expected KEY=VALUE, for example optimizer.lr=0.1")?;
        let path = path.trim();
        if path.split('.').any(|key| key.trim().is_empty()) || path.split('.').count() > DEEPEST {
            let path = brief(path, 100);
            return Err(format!("`{path}` is not the path of a setting; expected something like optimizer.lr=0.1"));
        }
        Ok(Self { written: format!("--set {text}"), path: path.to_owned(), value: value.trim().to_owned() })
    }

    /// For an option of its own.
    pub fn option(name: &str, path: &str, value: impl ToString) -> Self {
        let value = value.to_string();
        Self { written: format!("--{name} {value}"), path: path.to_owned(), value }
    }
}

/// The most keys of the path of an override.
const DEEPEST: usize = 16;

impl Node {
    /// Whether it is a table with this key.
    pub fn has(&self, key: &str) -> bool {
        matches!(&self.value, Value::Table(entries) if entries.contains_key(key))
    }

    /// Reads a whole file.
    pub fn parse(name: &str, content: &str) -> Result<Node, ConfigError> {
        let text = Arc::new(Text { name: name.to_owned(), content: content.to_owned() });
        let table = DeTable::parse(content).map_err(|error| {
            let place = Place { text: text.clone(), span: error.span().unwrap_or(0..0) };
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            ConfigError::at(&place, format!("{name} is not valid TOML: {message}"), "here")
        })?;
        let value = table_of(table.get_ref(), &text, 0);
        Ok(Node { value, place: Place { text, span: 0..0 } })
    }

    /// Puts an override in its place.
    pub fn set(&mut self, change: &Override) {
        let content = change.written.clone();
        let start = content.len() - change.value.len();
        let text = Arc::new(Text { name: "the command line".to_owned(), content });
        let place = |span| Place { text: text.clone(), span };
        let leaf = match DeValue::parse(&change.value) {
            Ok(value) => node_of(&value, &text, start),
            Err(_) => {
                Node { value: Value::Text(change.value.clone()), place: place(start..start + change.value.len()) }
            }
        };
        let whole = place(0..text.content.len());
        let mut node = self;
        for key in change.path.split('.').map(str::trim) {
            if !matches!(node.value, Value::Table(_)) {
                node.value = Value::Table(BTreeMap::new());
                node.place = whole.clone();
            }
            let Value::Table(entries) = &mut node.value else { unreachable!("just made one") };
            let empty = || Node { value: Value::Table(BTreeMap::new()), place: whole.clone() };
            let entry = entries.entry(key.to_owned());
            node = &mut entry.or_insert_with(|| Entry { key: whole.clone(), node: empty() }).node;
        }
        *node = leaf;
    }
}

impl Value {
    /// What to call it in an error.
    pub fn describe(&self) -> String {
        match self {
            Value::Flag(flag) => format!("{flag}"),
            Value::Integer(number) => number.to_string(),
            // Very small and large ones with an exponent.
            Value::Float(number) => format!("{number:?}"),
            Value::Text(text) => format!("the text \"{}\"", brief(text, 100)),
            Value::List(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
            Value::Other(what) => (*what).to_owned(),
        }
    }
}

fn table_of(table: &DeTable<'_>, text: &Arc<Text>, shift: usize) -> Value {
    let entries = table.iter().map(|(key, value)| {
        let place = Place { text: text.clone(), span: shifted(key.span(), shift) };
        (key.get_ref().to_string(), Entry { key: place, node: node_of(value, text, shift) })
    });
    Value::Table(entries.collect())
}

fn node_of(value: &Spanned<DeValue<'_>>, text: &Arc<Text>, shift: usize) -> Node {
    let place = Place { text: text.clone(), span: shifted(value.span(), shift) };
    let value = match value.get_ref() {
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Other("a number too large"), Value::Integer),
        DeValue::Float(number) => number.as_str().parse().map_or(Value::Other("not a number"), Value::Float),
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Array(items) => Value::List(items.iter().map(|item| node_of(item, text, shift)).collect()),
        DeValue::Table(table) => table_of(table, text, shift),
        DeValue::Datetime(_) => Value::Other("a date"),
    };
    Node { value, place }
}

fn shifted(span: Range<usize>, by: usize) -> Range<usize> {
    span.start + by..span.end + by
}
