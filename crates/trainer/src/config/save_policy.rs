//! The section `store`: a default, rules for some of the values, and what is recomputed instead of saved.

use super::policy_spec::{RECOMPUTE, by_name, is_none, recompute};
use super::reader::{Reader, size, wrong};
use super::source::{Node, Value};
use super::{BoundTarget, CodecSpec, ConfigError, PolicySpec};
use frugal_tensor::codec::{Policy, Recompute, Rule, Slices};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

type Result<T> = std::result::Result<T, ConfigError>;

/// In which form saved tensors are kept for the backward pass.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SavePolicy {
    /// For every value that no rule fits and the form takes; others stay raw.
    pub default: CodecSpec,
    /// What is recomputed in the backward pass.
    #[serde(serialize_with = "by_name", skip_serializing_if = "is_none")]
    pub recompute: Recompute,
    /// Into how many slices along the batch a step is cut, if the config says.
    #[serde(serialize_with = "as_setting", skip_serializing_if = "Option::is_none")]
    pub slices: Option<Slices>,
    /// Tried in order; the first that fits decides.
    #[serde(rename = "rule", skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<SaveRule>,
}

/// A form for the values that meet all conditions and that the form takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SaveRule {
    /// A pattern for the layer that makes the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// A pattern for the name of the value itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
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
    pub store: CodecSpec,
}

impl From<PolicySpec> for SavePolicy {
    fn from(choice: PolicySpec) -> Self {
        Self { default: choice.form, recompute: choice.recompute, slices: None, rules: Vec::new() }
    }
}

impl SavePolicy {
    /// With another default, and with what it recomputes. The rules stay, but raw means raw throughout: it is what the
    /// others are measured against.
    pub fn with_default(&self, choice: impl Into<PolicySpec>) -> Self {
        let choice = choice.into();
        let (rules, slices) = match choice.form {
            CodecSpec::Raw => (Vec::new(), None),
            _ => (self.rules.clone(), self.slices),
        };
        Self { rules, slices, ..choice.into() }
    }

    /// As the section of a config.
    pub fn to_toml(&self) -> String {
        let section = BTreeMap::from([("store", self)]);
        toml::to_string_pretty(&section).expect("numbers, texts and tables can be written as TOML")
    }

    /// The memory that the forms are to be chosen for, in bytes; none if they are given.
    pub fn budget(&self) -> Option<u64> {
        match self.default {
            CodecSpec::Auto { budget } => Some(budget),
            _ => None,
        }
    }

    /// What the planner needs. Of a store with a [budget](SavePolicy::budget) that is only what its rules say:
    /// [`crate::planning::budget::choose`] makes a store of it that says all.
    pub fn policy(&self) -> Policy {
        let rule = |rule: &SaveRule| Rule {
            layer: rule.layer.clone(),
            value: rule.value.clone(),
            made_by: rule.made_by.clone(),
            read_by: rule.read_by.clone(),
            min_elements: rule.min_elements.unwrap_or(0),
            codec: rule.store.codec(),
        };
        Policy {
            rules: self.rules.iter().map(rule).collect(),
            default: self.default.codec(),
            recompute: self.recompute,
            slices: self.slices(),
        }
    }

    /// Into how many slices along the batch a step is cut: where the config does not say, a step with everything raw into none.
    pub fn slices(&self) -> Slices {
        let raw = self.default == CodecSpec::Raw && self.rules.is_empty() && self.recompute == Recompute::None;
        self.slices.unwrap_or(if raw { Slices::Off } else { Slices::Auto })
    }
}

/// As a config has it.
fn as_setting<S: serde::Serializer>(slices: &Option<Slices>, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    match slices {
        Some(Slices::Count(count)) => serializer.serialize_u64(*count as u64),
        Some(slices) => serializer.serialize_str(&slices_name(*slices)),
        None => serializer.serialize_none(),
    }
}

/// Words for how slices are chosen.
const SLICES: &[&str] = &["auto", "least", "off"];

/// Most slices of a step.
const MOST_SLICES: i64 = 65_536;

/// What the user calls it.
pub fn slices_name(slices: Slices) -> String {
    match slices {
        Slices::Count(count) => count.to_string(),
        Slices::Auto => "auto".to_owned(),
        Slices::Least => "least".to_owned(),
        _ => "off".to_owned(),
    }
}

/// Reads what [`slices_name`] writes.
///
/// # Errors
/// Says what to write instead.
pub fn parse_slices(text: &str) -> std::result::Result<Slices, String> {
    match (text.trim(), text.trim().parse::<i64>()) {
        ("auto", _) => Ok(Slices::Auto),
        ("least", _) => Ok(Slices::Least),
        ("off", _) | (_, Ok(1)) => Ok(Slices::Off),
        (_, Ok(count)) if (2..=MOST_SLICES).contains(&count) => Ok(Slices::Count(count as usize)),
        _ => Err(format!("expected {} or a number of slices up to {MOST_SLICES}", SLICES.join(", "))),
    }
}

/// Reads a number of slices, or a word for how it is chosen.
fn slices(section: &Reader<'_>) -> Result<Option<Slices>> {
    let text = match section.get("slices").map(|node| &node.value) {
        None => return Ok(None),
        Some(Value::Integer(_)) => section.integer("slices", 1, MOST_SLICES)?.map(|count| count.to_string()),
        Some(_) => section.choice("slices", SLICES)?.map(str::to_owned),
    };
    Ok(text.and_then(|text| parse_slices(&text).ok()))
}

/// `frequency-split+cheap`, `f16 + 2 rules`.
impl fmt::Display for SavePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        PolicySpec { form: self.default, recompute: self.recompute }.fmt(f)?;
        match self.rules.len() {
            0 => Ok(()),
            1 => f.write_str(" + 1 rule"),
            count => write!(f, " + {count} rules"),
        }
    }
}

/// `layer = "layer1.*", min_elements = 4096, store = "raw"`.
impl fmt::Display for SaveRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns =
            [("layer", &self.layer), ("value", &self.value), ("made_by", &self.made_by), ("read_by", &self.read_by)];
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
pub(super) fn store(root: &Reader<'_>) -> Result<SavePolicy> {
    let section = root.section("store", &["default", "budget", "recompute", "slices", "rule"])?;
    let default = section.get("default").map(|node| choice(&section.path_of("default"), node)).transpose()?;
    let budget = size(&section, "budget")?.map(|budget| CodecSpec::Auto { budget }.into());
    if let (Some(default), Some(_), Some(node)) = (default, budget, section.get("budget")) {
        let message = format!("with `store.budget` Frugal chooses the forms, but `store.default` says {default}");
        return Err(ConfigError::at(&node.place, message, "the other one").help("remove one of them"));
    }
    let default = default.or(budget).unwrap_or(CodecSpec::Raw.into());
    let asked = section.choice("recompute", RECOMPUTE)?.and_then(recompute);
    if let (Some(asked), Some(node)) = (asked, section.get("recompute"))
        && !is_none(&default.recompute)
        && asked != default.recompute
    {
        let message = format!("`store.recompute` and the suffix of `store.default` disagree: {default}");
        return Err(ConfigError::at(&node.place, message, "the other one").help("remove one of them"));
    }
    if let Some(node @ Node { value: Value::Table(_), .. }) = section.get("rule") {
        let wanted = "a list of rules";
        return Err(section.wrong("rule", node, wanted).help("each rule begins with `[[store.rule]]`"));
    }
    let rules = section.list("rule")?.unwrap_or_default();
    let rules: Result<Vec<SaveRule>> = rules.iter().map(|(path, node)| rule(path, node)).collect();
    let recompute = asked.unwrap_or(default.recompute);
    Ok(SavePolicy { default: default.form, recompute, slices: slices(&section)?, rules: rules? })
}

fn rule(path: &str, node: &Node) -> Result<SaveRule> {
    let rule = Reader::open(node, path, &["layer", "value", "made_by", "read_by", "min_elements", "store"])?;
    let pattern = |key| Ok(rule.text(key)?.map(str::to_owned));
    let store = rule.get("store").map(|node| form(&rule.path_of("store"), node)).transpose()?;
    if let (Some(CodecSpec::Auto { .. }), Some(node)) = (store, rule.get("store")) {
        let message = format!("`{path}.store`: a budget is one for all values");
        return Err(ConfigError::at(&node.place, message, "not possible").help("write it as `store.budget`"));
    }
    Ok(SaveRule {
        layer: pattern("layer")?,
        value: pattern("value")?,
        made_by: pattern("made_by")?,
        read_by: pattern("read_by")?,
        min_elements: rule.integer("min_elements", 1, i64::MAX)?.map(|elements| elements as usize),
        store: rule.required("store", "\"raw\"", store)?,
    })
}

/// A form, as text with or without the suffix that says what is recomputed, or as a table with or without `recompute`.
pub(super) fn choice(path: &str, node: &Node) -> Result<PolicySpec> {
    match &node.value {
        Value::Text(name) => PolicySpec::parse(name).map_err(|reason| not_a_store(path, node, name, reason)),
        Value::Table(entries) if entries.contains_key("recompute") => {
            let mut entries = entries.clone();
            entries.remove("recompute");
            let asked = Reader::any(node, path).choice("recompute", RECOMPUTE)?.and_then(recompute);
            let form = form(path, &Node { value: Value::Table(entries), place: node.place.clone() })?;
            Ok(PolicySpec { form, recompute: asked.unwrap_or_default() })
        }
        _ => form(path, node).map(PolicySpec::from),
    }
}

fn not_a_store(path: &str, node: &Node, name: &str, reason: String) -> ConfigError {
    let message = format!("`{path}` cannot be \"{name}\"");
    ConfigError::at(&node.place, message, "not a store").help(reason)
}

/// A name with or without settings, or a table with `kind` and settings.
fn form(path: &str, node: &Node) -> Result<CodecSpec> {
    if let Value::Text(name) = &node.value {
        if name.contains('+') && PolicySpec::parse(name).is_ok() {
            let reason = "recomputing is set for all values: write it as `store.recompute`".to_owned();
            return Err(not_a_store(path, node, name, reason));
        }
        return CodecSpec::parse(name).map_err(|reason| not_a_store(path, node, name, reason));
    }
    if let Value::Table(entries) = &node.value
        && entries.contains_key("budget")
    {
        let auto = Reader::open(node, path, &["kind", "budget"])?;
        auto.choice("kind", &["auto"])?;
        return auto.required("budget", "\"2GiB\"", size(&auto, "budget")?).map(|budget| CodecSpec::Auto { budget });
    }
    if !matches!(node.value, Value::Table(_)) {
        return Err(wrong(path, node, "the name of a store, or a table with its settings"));
    }
    let settings = ["kind", "block", "bits", "group", "parity", "target", "fraction", "interval"];
    let any = Reader::open(node, path, &settings)?;
    let kind = any.choice("kind", CodecSpec::NAMES)?;
    let mut form = CodecSpec::usual(any.required("kind", "\"uniform\"", kind)?).expect("one of the names");
    let keys: &[&str] = match form {
        CodecSpec::Raw | CodecSpec::F16 | CodecSpec::Auto { .. } => &["kind"],
        CodecSpec::Float8 { .. } => &["kind", "group"],
        CodecSpec::Uniform { .. } => &["kind", "bits", "group"],
        CodecSpec::FrequencySplit { .. } => &["kind", "block", "bits", "parity"],
        CodecSpec::ErrorBounded { .. } => &["kind", "target", "fraction", "interval"],
    };
    let section = Reader::open(node, path, keys)?;
    let number = |key| Ok(section.integer(key, 1, 1 << 20)?.map(|number| number as usize));
    match &mut form {
        CodecSpec::Raw | CodecSpec::F16 | CodecSpec::Auto { .. } => {}
        CodecSpec::Float8 { group } => *group = number("group")?.unwrap_or(*group),
        CodecSpec::Uniform { bits, group } => {
            *bits = number("bits")?.unwrap_or(*bits);
            *group = number("group")?.unwrap_or(*group);
        }
        CodecSpec::FrequencySplit { block, bits, parity } => {
            *parity = section.flag("parity")?.unwrap_or(*parity);
            *block = number("block")?.unwrap_or(*block);
            *bits = number("bits")?.unwrap_or(*bits);
        }
        CodecSpec::ErrorBounded { target, fraction, interval } => {
            let named = section.choice("target", BoundTarget::NAMES)?.and_then(BoundTarget::usual);
            (*target, *fraction) = named.unwrap_or((*target, *fraction));
            let given = section.float("fraction", "above 0", |fraction| fraction > 0.0)?;
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
