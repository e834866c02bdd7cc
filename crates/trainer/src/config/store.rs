//! The section `store`: a default, and rules for some of the values.

use super::reader::{Reader, wrong};
use super::source::{Node, Value};
use super::{BoundTarget, ConfigError, Form};
use frugal_tensor::codec::{Policy, Rule};
use serde::Serialize;
use std::fmt;

type Result<T> = std::result::Result<T, ConfigError>;

/// In which form values wait for the backward pass.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Store {
    /// For every value that no rule fits and the form takes; others stay raw.
    pub default: Form,
    /// Tried in order; the first that fits decides.
    #[serde(rename = "rule", skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<StoreRule>,
}

/// A form for the values that meet all conditions and that the form takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoreRule {
    /// A pattern for the layer that makes the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// A pattern for the operator that makes the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_by: Option<String>,
    /// A pattern for an operator that reads the value in the forward pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_by: Option<String>,
    /// The least number of elements, those of the whole batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_elements: Option<usize>,
    /// The form.
    pub store: Form,
}

impl From<Form> for Store {
    fn from(default: Form) -> Self {
        Self { default, rules: Vec::new() }
    }
}

impl Store {
    /// With another default. The rules stay, but raw means raw throughout: it is what the others are measured against.
    pub fn with_default(&self, default: Form) -> Self {
        let rules = if default == Form::Raw { Vec::new() } else { self.rules.clone() };
        Self { default, rules }
    }

    /// What the planner needs.
    pub fn policy(&self) -> Policy {
        let rule = |rule: &StoreRule| Rule {
            layer: rule.layer.clone(),
            made_by: rule.made_by.clone(),
            read_by: rule.read_by.clone(),
            min_elements: rule.min_elements.unwrap_or(0),
            codec: rule.store.codec(),
        };
        Policy { rules: self.rules.iter().map(rule).collect(), default: self.default.codec() }
    }
}

/// `frequency-split`, `f16 + 2 rules`.
impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.default.fmt(f)?;
        match self.rules.len() {
            0 => Ok(()),
            1 => f.write_str(" + 1 rule"),
            count => write!(f, " + {count} rules"),
        }
    }
}

/// `layer = "layer1.*", min_elements = 4096, store = "raw"`.
impl fmt::Display for StoreRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns = [("layer", &self.layer), ("made_by", &self.made_by), ("read_by", &self.read_by)];
        for (name, pattern) in patterns.iter().filter_map(|(name, p)| Some((name, p.as_ref()?))) {
            write!(f, "{name} = \"{pattern}\", ")?;
        }
        if let Some(elements) = self.min_elements {
            write!(f, "min_elements = {elements}, ")?;
        }
        write!(f, "store = \"{}\"", self.store)
    }
}

/// Reads the section.
pub(super) fn store(root: &Reader<'_>) -> Result<Store> {
    let section = root.section("store", &["default", "rule"])?;
    let default = section.get("default").map(|node| form(&section.path_of("default"), node)).transpose()?;
    if let Some(node @ Node { value: Value::Table(_), .. }) = section.get("rule") {
        let wanted = "a list of rules";
        return Err(section.wrong("rule", node, wanted).help("each rule begins with `[[store.rule]]`"));
    }
    let rules = section.list("rule")?.unwrap_or_default();
    let rules: Result<Vec<StoreRule>> = rules.iter().map(|(path, node)| rule(path, node)).collect();
    Ok(Store { default: default.unwrap_or(Form::Raw), rules: rules? })
}

fn rule(path: &str, node: &Node) -> Result<StoreRule> {
    let rule = Reader::open(node, path, &["layer", "made_by", "read_by", "min_elements", "store"])?;
    let pattern = |key| Ok(rule.text(key)?.map(str::to_owned));
    let store = rule.get("store").map(|node| form(&rule.path_of("store"), node)).transpose()?;
    Ok(StoreRule {
        layer: pattern("layer")?,
        made_by: pattern("made_by")?,
        read_by: pattern("read_by")?,
        min_elements: rule.integer("min_elements", 1, i64::MAX)?.map(|elements| elements as usize),
        store: rule.required("store", "\"raw\"", store)?,
    })
}

/// A name with or without settings, or a table with `kind` and settings.
pub(super) fn form(path: &str, node: &Node) -> Result<Form> {
    if let Value::Text(name) = &node.value {
        return Form::parse(name).map_err(|reason| {
            let message = format!("`{path}` cannot be \"{name}\"");
            ConfigError::at(&node.place, message, "not a store").help(reason)
        });
    }
    if !matches!(node.value, Value::Table(_)) {
        return Err(wrong(path, node, "the name of a store, or a table with its settings"));
    }
    let settings = ["kind", "block", "bits", "group", "parity", "target", "fraction", "interval"];
    let any = Reader::open(node, path, &settings)?;
    let kind = any.choice("kind", Form::NAMES)?;
    let mut form = Form::usual(any.required("kind", "\"uniform\"", kind)?).expect("one of the names");
    let keys: &[&str] = match form {
        Form::Raw | Form::F16 => &["kind"],
        Form::Uniform { .. } => &["kind", "bits", "group"],
        Form::FrequencySplit { .. } => &["kind", "block", "bits", "parity"],
        Form::ErrorBounded { .. } => &["kind", "target", "fraction", "interval"],
    };
    let section = Reader::open(node, path, keys)?;
    let number = |key| Ok(section.integer(key, 1, 1 << 20)?.map(|number| number as usize));
    match &mut form {
        Form::Raw | Form::F16 => {}
        Form::Uniform { bits, group } => {
            *bits = number("bits")?.unwrap_or(*bits);
            *group = number("group")?.unwrap_or(*group);
        }
        Form::FrequencySplit { block, bits, parity } => {
            *parity = section.flag("parity")?.unwrap_or(*parity);
            *block = number("block")?.unwrap_or(*block);
            *bits = number("bits")?.unwrap_or(*bits);
        }
        Form::ErrorBounded { target, fraction, interval } => {
            let named = section.choice("target", BoundTarget::NAMES)?.and_then(BoundTarget::usual);
            (*target, *fraction) = named.unwrap_or((*target, *fraction));
            let given = section.float("fraction", "above 0, at most 10", |f| f > 0.0 && f <= 10.0)?;
            *fraction = given.map_or(*fraction, |fraction| fraction as f32);
            *interval = number("interval")?.map_or(*interval, |steps| steps as u32);
        }
    }
    form.check().map_err(|reason| {
        // The reason begins with the name of the setting.
        let place = reason.split(' ').next().and_then(|key| section.get(key)).unwrap_or(node);
        ConfigError::at(&place.place, format!("`{path}`: {reason}"), "not possible")
    })?;
    Ok(form)
}
