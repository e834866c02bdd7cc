//! Changes to what is a tree: TOML and JSON.

use crate::random::Random;
use std::fmt::Write;

/// A value of TOML or JSON.
#[derive(Clone, Debug)]
pub enum Tree {
    /// JSON's null.
    Null,
    /// True or false.
    Flag(bool),
    /// A whole number, also one that neither format can hold.
    Integer(i128),
    /// Any other number, infinities included.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Tree>),
    /// A table, in the order in which it is written.
    Map(Vec<(String, Tree)>),
}

const INTEGERS: &[i128] = &[
    0,
    1,
    -1,
    2,
    3,
    7,
    8,
    13,
    16,
    64,
    255,
    256,
    1000,
    65_535,
    65_536,
    1 << 20,
    (1 << 20) + 1,
    1 << 24,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    1 << 53,
    (1 << 63) - 1,
    -(1 << 63),
    1 << 63,
    (1 << 64) - 1,
    1 << 64,
    1 << 100,
];
const FLOATS: &[f64] = &[
    0.0,
    -0.0,
    5e-324,
    1e-320,
    1e-45,
    1e-39,
    1.2e-38,
    1e-9,
    0.1,
    0.5,
    0.999_999_999,
    1.0,
    1.000_000_001,
    2.5,
    -1.0,
    1e9,
    3.4e38,
    3.5e38,
    1e300,
    f64::MAX,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];
const TEXTS: &[&str] = &[
    "",
    " ",
    ".",
    "..",
    "a",
    "é",
    "e\u{301}",
    "\u{feff}x",
    "a\u{0}b",
    "\u{1b}[2J\u{7}",
    "\u{202e}abc",
    "CON",
    "a/b",
    "../../x",
    "/dev/zero",
    "*",
    "?*?*?*",
    "********************************************b",
    "a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b",
    "raw",
    "auto:1B",
    "auto:99999999999GiB",
    "float8:0",
    "float8:1048576",
    "uniform:0,0",
    "uniform:8,1",
    "uniform:2,1048576",
    "frequency-split:8,8,parity",
    "frequency-split:1048576,1",
    "error-bounded:10",
    "error-bounded:1e-30",
    "error-bounded:comet",
    "error-bounded+segments",
    "f16+cheap",
    "2GiB",
    "99999999999TiB",
    "-1B",
    "classes",
    "same",
    "1e999",
    "F64",
    "U8",
    "BF16",
    "F8_E4M3",
];

/// A few changes by chance; `donor` gives parts and names.
pub fn mutate(tree: &mut Tree, donor: &Tree, random: &mut Random) {
    for _ in 0..random.few(6) {
        let mut at = random.below(tree.count());
        if let Some(node) = tree.at(&mut at) {
            change(node, donor, random);
        }
    }
}

fn change(node: &mut Tree, donor: &Tree, random: &mut Random) {
    match random.below(10) {
        0..=2 => tweak(node, donor, random),
        3 => *node = absurd(random),
        4 => *node = donor.any(random).clone(),
        5 | 6 => cross(node, donor, random),
        7 => {
            let deep = if random.once_in(40) { 20_000 } else { random.few(60) };
            for _ in 0..deep {
                let inner = std::mem::replace(node, Tree::Null);
                let key = donor.key(random).unwrap_or_default();
                *node = if random.once_in(2) { Tree::List(vec![inner]) } else { Tree::Map(vec![(key, inner)]) };
            }
        }
        8 => tweak(node, donor, random),
        _ => {
            if let (Tree::Map(entries), Some(key)) = (node, donor.key(random)) {
                entries.push((key, if random.once_in(2) { absurd(random) } else { donor.any(random).clone() }));
            }
        }
    }
}

/// Takes the value of one key from a donor that has that key, too: what comes of it is often right.
fn cross(node: &mut Tree, donor: &Tree, random: &mut Random) {
    let Tree::Map(entries) = node else { return tweak(node, donor, random) };
    let at = random.below(entries.len());
    if let Some((key, value)) = entries.get_mut(at) {
        let mut found = Vec::new();
        donor.find(key, &mut found);
        if !found.is_empty() {
            *value = random.pick(&found).clone();
        }
    }
}

fn absurd(random: &mut Random) -> Tree {
    match random.below(7) {
        0 | 1 => Tree::Integer(random.pick(INTEGERS)),
        2 | 3 => Tree::Float(random.pick(FLOATS)),
        4 => Tree::Text(random.pick(TEXTS).to_owned()),
        5 => Tree::Flag(random.once_in(2)),
        _ => match random.below(4) {
            0 => Tree::Text("x".repeat(random.few(12).pow(5))),
            1 => Tree::List(vec![Tree::Integer(random.pick(INTEGERS)); random.few(12).pow(4)]),
            2 => Tree::Map(Vec::new()),
            _ => Tree::Null,
        },
    }
}

/// Changes a value so that it stays of its kind.
fn tweak(node: &mut Tree, donor: &Tree, random: &mut Random) {
    match node {
        Tree::Null => *node = Tree::Flag(false),
        Tree::Flag(flag) => *flag = !*flag,
        Tree::Integer(number) => {
            *number = match random.below(5) {
                0 => *number + 1,
                1 => *number - 1,
                2 => number.saturating_mul(2),
                3 => -*number,
                _ => random.pick(INTEGERS),
            }
        }
        Tree::Float(number) => {
            *number = match random.below(5) {
                0 => *number * 1e3,
                1 => *number * 1e-3,
                2 => -*number,
                3 => 1.0 - *number,
                _ => random.pick(FLOATS),
            }
        }
        Tree::Text(text) => match random.below(4) {
            0 => drop(text.pop()),
            1 => text.insert_str(0, random.pick(TEXTS)),
            2 => text.push_str(random.pick(&["0", "9", ",", ":", "+", "*", ".", "é", "\u{7f}"])),
            _ => *text = random.pick(TEXTS).to_owned(),
        },
        Tree::List(items) => {
            let at = random.below(items.len());
            match (random.below(4), items.is_empty()) {
                (0, false) => drop(items.remove(at)),
                (1, false) => {
                    let item = items[at].clone();
                    let times = if item.count() > 100 { 1 } else { random.few(10).pow(3) };
                    items.splice(at..at, std::iter::repeat_n(item, times));
                }
                (2, false) => items.rotate_left(at),
                _ => items.push(donor.any(random).clone()),
            }
        }
        Tree::Map(entries) => {
            let at = random.below(entries.len());
            match (random.below(3), entries.is_empty()) {
                (0, false) => drop(entries.remove(at)),
                (1, false) => entries[at].0 = donor.key(random).unwrap_or_else(|| "x".to_owned()),
                _ => entries.push((donor.key(random).unwrap_or_default(), donor.any(random).clone())),
            }
        }
    }
}

impl Tree {
    /// How many values there are, itself included.
    fn count(&self) -> usize {
        match self {
            Tree::List(items) => 1 + items.iter().map(Tree::count).sum::<usize>(),
            Tree::Map(entries) => 1 + entries.iter().map(|(_, tree)| tree.count()).sum::<usize>(),
            _ => 1,
        }
    }

    /// The value with this number, counted from the root down.
    fn at(&mut self, number: &mut usize) -> Option<&mut Tree> {
        if *number == 0 {
            return Some(self);
        }
        *number -= 1;
        match self {
            Tree::List(items) => items.iter_mut().find_map(|tree| tree.at(number)),
            Tree::Map(entries) => entries.iter_mut().find_map(|(_, tree)| tree.at(number)),
            _ => None,
        }
    }

    /// All values of a key.
    fn find<'a>(&'a self, wanted: &str, found: &mut Vec<&'a Tree>) {
        match self {
            Tree::List(items) => items.iter().for_each(|tree| tree.find(wanted, found)),
            Tree::Map(entries) => entries.iter().for_each(|(key, tree)| {
                if key == wanted {
                    found.push(tree);
                }
                tree.find(wanted, found);
            }),
            _ => {}
        }
    }

    /// Any value in it.
    fn any(&self, random: &mut Random) -> &Tree {
        let mut tree = self;
        loop {
            let inner: Vec<&Tree> = match tree {
                Tree::List(items) => items.iter().collect(),
                Tree::Map(entries) => entries.iter().map(|(_, tree)| tree).collect(),
                _ => return tree,
            };
            if inner.is_empty() || random.once_in(4) {
                return tree;
            }
            tree = inner[random.below(inner.len())];
        }
    }

    /// Any key in it.
    fn key(&self, random: &mut Random) -> Option<String> {
        for _ in 0..8 {
            if let Tree::Map(entries) = self.any(random)
                && !entries.is_empty()
            {
                return Some(entries[random.below(entries.len())].0.clone());
            }
        }
        None
    }

    /// As TOML, in which all tables but the outermost are inline.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        match self {
            Tree::Map(entries) => {
                for (key, tree) in entries {
                    quoted(key, &mut text);
                    text.push_str(" = ");
                    tree.write(&mut text, " = ", "\"\"");
                    text.push('\n');
                }
            }
            tree => tree.write(&mut text, " = ", "\"\""),
        }
        text
    }

    /// As JSON.
    pub fn to_json(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, ":", "null");
        text
    }

    /// Values are written alike in both formats, but for what stands between key and value, and for null.
    fn write(&self, text: &mut String, is: &str, null: &str) {
        match self {
            Tree::Null => text.push_str(null),
            Tree::Flag(flag) => text.push_str(if *flag { "true" } else { "false" }),
            Tree::Integer(number) => write!(text, "{number}").expect("a string takes any text"),
            // JSON has no infinity; what is read as one has to do.
            Tree::Float(number) if is == ":" && !number.is_finite() => text.push_str("1e999"),
            Tree::Float(number) if number.is_nan() => text.push_str("nan"),
            Tree::Float(number) if number.is_infinite() => text.push_str(if *number < 0.0 { "-inf" } else { "inf" }),
            Tree::Float(number) => write!(text, "{number:e}").expect("a string takes any text"),
            Tree::Text(content) => quoted(content, text),
            Tree::List(items) => {
                text.push('[');
                for (at, item) in items.iter().enumerate() {
                    text.push_str(if at == 0 { "" } else { ", " });
                    item.write(text, is, null);
                }
                text.push(']');
            }
            Tree::Map(entries) => {
                text.push('{');
                for (at, (key, tree)) in entries.iter().enumerate() {
                    text.push_str(if at == 0 { "" } else { ", " });
                    quoted(key, text);
                    text.push_str(is);
                    tree.write(text, is, null);
                }
                text.push('}');
            }
        }
    }
}

fn quoted(content: &str, text: &mut String) {
    text.push('"');
    for c in content.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c.is_control() => write!(text, "\\u{:04x}", u32::from(c)).expect("a string takes any text"),
            c => text.push(c),
        }
    }
    text.push('"');
}

impl From<serde_json::Value> for Tree {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Tree::Null,
            Value::Bool(flag) => Tree::Flag(flag),
            Value::Number(number) => match number.as_i128() {
                Some(number) => Tree::Integer(number),
                None => Tree::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Tree::Text(text),
            Value::Array(items) => Tree::List(items.into_iter().map(Tree::from).collect()),
            Value::Object(entries) => Tree::Map(entries.into_iter().map(|(key, value)| (key, value.into())).collect()),
        }
    }
}

impl From<toml::Value> for Tree {
    fn from(value: toml::Value) -> Self {
        use toml::Value;
        match value {
            Value::String(text) => Tree::Text(text),
            Value::Integer(number) => Tree::Integer(number.into()),
            Value::Float(number) => Tree::Float(number),
            Value::Boolean(flag) => Tree::Flag(flag),
            Value::Datetime(date) => Tree::Text(date.to_string()),
            Value::Array(items) => Tree::List(items.into_iter().map(Tree::from).collect()),
            Value::Table(entries) => Tree::Map(entries.into_iter().map(|(key, value)| (key, value.into())).collect()),
        }
    }
}
