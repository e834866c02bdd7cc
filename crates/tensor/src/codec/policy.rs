//! Which form each kept value gets: rules, tried in order, and a default.

use super::{Codec, Slices};
use crate::ir::{Element, Graph, Phase, Value, ValueId, matches};
use std::collections::HashMap;
use std::rc::Rc;

/// Which codec each kept value gets; `None` keeps values as they are.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Tried in order; the first that fits decides.
    pub rules: Vec<Rule>,
    /// For every value that no rule fits and the codec takes.
    pub default: Option<Rc<dyn Codec>>,
    /// What is recomputed in the backward pass, so that no form is chosen for it.
    pub recompute: Recompute,
    /// Into how many slices along the batch a step is cut.
    pub slices: Slices,
}

/// A codec for the values that meet all conditions and that the codec takes. Patterns have `*` for any text.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// A pattern for the layer that makes the value; an input of the graph has its own name for a layer.
    pub layer: Option<String>,
    /// A pattern for the name of the value itself.
    pub value: Option<String>,
    /// A pattern for the operator that makes the value; for an input of the graph that is `input`.
    pub made_by: Option<String>,
    /// A pattern for an operator that reads the value in the forward pass.
    pub read_by: Option<String>,
    /// The least number of elements, those of the whole batch.
    pub min_elements: usize,
    /// The codec; `None` keeps the values as they are.
    pub codec: Option<Rc<dyn Codec>>,
}

impl Policy {
    /// Everything as it is.
    pub fn raw() -> Self {
        Self::default()
    }

    /// One codec for every value that it takes.
    pub fn with(codec: impl Codec + 'static) -> Self {
        Self { default: Some(Rc::new(codec)), ..Self::default() }
    }

    /// With one more rule, tried after those that are there.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// With values recomputed instead of kept.
    pub fn recompute(self, recompute: Recompute) -> Self {
        Self { recompute, ..self }
    }

    /// In slices along the batch.
    pub fn slices(self, slices: Slices) -> Self {
        Self { slices, ..self }
    }

    /// The choice for a value, among codecs that take it and that `serve` its readers.
    pub(crate) fn choose(&self, value: &Value, origin: &Origin, serves: &dyn Fn(&dyn Codec) -> bool) -> Choice {
        let suits = |codec: &dyn Codec| codec.takes(value) && serves(codec);
        let takes = |codec: &Option<Rc<dyn Codec>>| codec.as_ref().is_none_or(|codec| suits(codec.as_ref()));
        if value.element != Element::F32 {
            return Choice::default();
        }
        match self.rules.iter().position(|rule| rule.fits(value, origin) && takes(&rule.codec)) {
            Some(index) => Choice { rule: Some(index), codec: self.rules[index].codec.clone() },
            None => Choice { rule: None, codec: self.default.clone().filter(|codec| suits(codec.as_ref())) },
        }
    }
}

impl Rule {
    fn fits(&self, value: &Value, origin: &Origin) -> bool {
        let fits = |pattern: &Option<String>, name: &str| pattern.as_ref().is_none_or(|p| matches(p, name));
        fits(&self.layer, &origin.layer)
            && fits(&self.value, &value.name)
            && fits(&self.made_by, origin.made_by)
            && (self.read_by.is_none() || origin.read_by.iter().any(|name| fits(&self.read_by, name)))
            && value.shape.elements() >= self.min_elements
    }
}

/// What a policy decided on a value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    /// The rule that fitted.
    pub rule: Option<usize>,
    /// The codec.
    pub codec: Option<Rc<dyn Codec>>,
}

/// Where a value comes from and who reads it.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub layer: String,
    made_by: &'static str,
    read_by: Vec<&'static str>,
}

impl Origin {
    /// The origins of these values.
    pub fn of(graph: &Graph, values: impl Iterator<Item = ValueId>) -> HashMap<ValueId, Origin> {
        let input = |v| Origin { layer: graph.value(v).name.clone(), made_by: "input", read_by: Vec::new() };
        let mut origins: HashMap<ValueId, Origin> = values.map(|v| (v, input(v))).collect();
        for node in graph.nodes().iter().filter(|node| node.phase == Phase::Forward) {
            for output in &node.outputs {
                if let Some(origin) = origins.get_mut(output) {
                    (origin.layer, origin.made_by) = (node.layer.clone(), node.operator.name());
                }
            }
            for input in &node.inputs {
                if let Some(origin) = origins.get_mut(input) {
                    origin.read_by.push(node.operator.name());
                }
            }
        }
        origins
    }
}

/// Which values are recomputed in the backward pass instead of being kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Recompute {
    /// Those that cost nothing.
    #[default]
    None,
    /// Those that follow from other kept values in a few passes over the elements.
    Cheap,
    /// All but those at the borders of segments (checkpointing, arXiv 1604.06174).
    Segments,
}

impl Recompute {
    /// All of them.
    pub const ALL: [Recompute; 3] = [Recompute::None, Recompute::Cheap, Recompute::Segments];

    /// What the user calls it.
    pub fn name(self) -> &'static str {
        match self {
            Recompute::None => "none",
            Recompute::Cheap => "cheap",
            Recompute::Segments => "segments",
        }
    }
}
