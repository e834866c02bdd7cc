//! Codecs: the forms in which a value can wait, and the rewrite that puts one on each kept value.
//!
//! A codec is a pair of operators, encode and decode, with an exact size. The rewrite [`store`] is the only place that
//! knows both gradients and codecs: operators do not know in which form their values wait, codecs do not know for whom.

pub mod f16;
pub mod frequency_split;
pub mod mask;
mod policy;
pub mod recompute;
pub mod uniform;
pub mod window_index;

pub use f16::F16;
pub use frequency_split::FrequencySplit;
pub use policy::{Policy, Rule};
pub use recompute::Recompute;
pub use uniform::Uniform;

use crate::graph::{Element, Graph, GraphError, Keep, Kind, Need, Node, Phase, Value, ValueId};
use crate::ops::{KernelContext, Operator};
use policy::{Choice, Origin};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

/// A form in which an f32 value can be kept.
pub trait Codec: fmt::Debug {
    /// What the user calls it.
    fn name(&self) -> &'static str;

    /// Whether it takes this value; others stay raw.
    fn takes(&self, value: &Value) -> bool;

    /// From the value and the step's control words (see [`Graph::control`]) to packed words.
    fn encode(&self, value: &Value) -> Rc<dyn Operator>;

    /// From packed words to the value.
    fn decode(&self, value: &Value) -> Rc<dyn Operator>;
}

/// The key of an encoder's random numbers: two values must not draw the same ones.
fn stream(context: &KernelContext) -> u32 {
    context.outputs[0].name.bytes().fold(0, |key, byte| crate::random::hash(key ^ u32::from(byte)))
}

/// A kept value and the form it waits in.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The forward value.
    pub source: ValueId,
    /// What waits: the source itself, or packed words. Of a value that is [made again](Stored::is_rebuilt) nothing waits.
    pub waiting: ValueId,
    /// The name of the form.
    pub form: &'static str,
    /// The rule of the policy that chose the form.
    pub rule: Option<usize>,
}

impl Stored {
    fn rebuilt(source: ValueId) -> Self {
        Self { source, waiting: source, form: "rebuilt", rule: None }
    }

    /// Whether nothing waits, because the value is made again in the backward pass.
    pub fn is_rebuilt(&self) -> bool {
        self.form == "rebuilt"
    }
}

/// Puts a codec on each kept value: encodes right after it is made, so that its last forward reader may overwrite it,
/// and decodes right before the first backward reader. Before that, what the policy makes again ([`recompute`]) is taken
/// out of what is kept.
///
/// A sign is taken from the values themselves where they wait raw for another reader anyway, and from a bit mask
/// otherwise.
///
/// # Errors
/// [`GraphError::Shape`] if a codec takes a value that its operators refuse.
pub fn store(graph: &mut Graph, policy: &Policy) -> Result<Vec<Stored>, GraphError> {
    store_with(graph, policy, u64::MAX)
}

fn store_with(graph: &mut Graph, policy: &Policy, wide: u64) -> Result<Vec<Stored>, GraphError> {
    let rebuilt = recompute::rewrite(graph, policy, wide)?;
    let keeps = graph.take_keeps();
    let mut after: HashMap<ValueId, Vec<Node>> = HashMap::new();
    let mut before: HashMap<ValueId, Node> = HashMap::new();
    let mut replace: HashMap<ValueId, ValueId> = HashMap::new();
    let mut stored = Vec::new();

    let origins = Origin::of(graph, keeps.iter().map(|keep| keep.source));
    let choices: HashMap<ValueId, Choice> = keeps
        .iter()
        .filter(|keep| keep.need == Need::Values)
        .map(|keep| (keep.source, policy.choose(graph.value(keep.source), &origins[&keep.source])))
        .collect();
    let waits_raw = |source: ValueId| {
        let chosen_raw = choices.get(&source).is_some_and(|choice| choice.codec.is_none());
        chosen_raw || keeps.iter().any(|keep| keep.source == source && keep.need == Need::Exact)
    };
    for Keep { source, need, view } in keeps.iter().cloned() {
        let value = graph.value(source).clone();
        let layer = origins[&source].layer.clone();
        let Choice { rule, codec } = choices.get(&source).cloned().unwrap_or_default();
        match (need, codec) {
            (Need::Sign, _) if !waits_raw(source) => {
                graph.set_phase(Phase::Forward);
                let node = graph.make_node(Rc::new(mask::EncodeMask), &[source], layer)?;
                let words = node.outputs[0];
                graph.value_mut(words).kind = Kind::Stored;
                replace.insert(view, words);
                after.entry(source).or_default().push(node);
                stored.push(Stored { source, waiting: words, form: "mask", rule: None });
            }
            (Need::Values, Some(codec)) => {
                graph.set_phase(Phase::Forward);
                let known = stored.iter().find(|s| s.source == source && s.form == codec.name());
                let words = match known.map(|s| s.waiting) {
                    Some(words) => words,
                    None => {
                        let control = graph.control();
                        let encode = graph.make_node(codec.encode(&value), &[source, control], layer.clone())?;
                        let words = encode.outputs[0];
                        graph.value_mut(words).kind = Kind::Stored;
                        after.entry(source).or_default().push(encode);
                        stored.push(Stored { source, waiting: words, form: codec.name(), rule });
                        words
                    }
                };
                graph.set_phase(Phase::Backward);
                let mut decode = graph.make_node(codec.decode(&value), &[words], layer)?;
                decode.outputs = vec![view];
                before.insert(view, decode);
            }
            _ => {
                replace.insert(view, source);
                // Of the words that a forward pass makes, only pooling's are kept.
                let form = match (value.element, value.kind) {
                    (Element::U32, Kind::Activation) => "window index",
                    _ => "raw",
                };
                if !stored.iter().any(|s: &Stored| s.waiting == source) {
                    stored.push(Stored { source, waiting: source, form, rule });
                }
            }
        }
    }

    let mut nodes = Vec::new();
    for (source, encoders) in &mut after {
        if graph.value(*source).kind == Kind::Input {
            nodes.append(encoders);
        }
    }
    nodes.sort_by_key(|node: &Node| node.inputs[0]);
    for mut node in graph.take_nodes() {
        for input in &mut node.inputs {
            if let Some(decode) = before.remove(input) {
                nodes.push(decode);
            }
            if let Some(other) = replace.get(input) {
                *input = *other;
            }
        }
        let outputs = node.outputs.clone();
        nodes.push(node);
        for output in outputs {
            nodes.extend(after.remove(&output).unwrap_or_default());
        }
    }
    graph.set_nodes(nodes);
    graph.set_phase(Phase::Update);
    stored.extend(rebuilt.into_iter().map(Stored::rebuilt));
    Ok(stored)
}
