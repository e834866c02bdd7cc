//! Codecs: the forms in which a value can wait, and the rewrite that puts one on each kept value.
//!
//! A codec is a pair of operators, encode and decode, with an exact size. The rewrite [`store`] is the only place that
//! knows both gradients and codecs: operators do not know in which form their values wait, codecs do not know for whom.

pub mod error_bounded;
pub mod f16;
pub mod frequency_split;
pub mod mask;
mod policy;
pub mod recompute;
pub mod uniform;
pub mod window_index;

pub use error_bounded::ErrorBounded;
pub use f16::F16;
pub use frequency_split::FrequencySplit;
pub use policy::{Policy, Rule};
pub use recompute::Recompute;
pub use uniform::Uniform;

use crate::graph::{Element, Graph, GraphError, Interval, Keep, Kind, Need, Node, Phase, Value, ValueId};
use crate::ops::{KernelContext, Operator};
use error_bounded::BoundController;
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

    /// Whether it can serve those who read the value as `view` in the backward pass.
    fn serves(&self, _graph: &Graph, _view: ValueId) -> bool {
        true
    }

    /// Encoder and decoder for a value.
    ///
    /// # Errors
    /// [`GraphError::NameTaken`] if what it keeps across steps has the name of another value.
    fn attach(&self, graph: &mut Graph, site: &Site) -> Result<Attached, GraphError>;
}

/// Where a codec is put.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// The value.
    pub source: ValueId,
    /// A mask of its elements above zero, if one waits anyway.
    pub mask: Option<ValueId>,
}

/// An encoder and a decoder.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attached {
    /// From the value, and what else it reads, to packed words; perhaps also to the mask of the site.
    pub encode: Rc<dyn Operator>,
    /// What the encoder reads besides the value.
    pub encode_reads: Vec<ValueId>,
    /// From packed words, and what else it reads, to the value.
    pub decode: Rc<dyn Operator>,
    /// What the decoder reads besides the words.
    pub decode_reads: Vec<ValueId>,
    /// Whether the encoder's second output is the mask of the site: then nothing else need make it.
    pub makes_mask: bool,
    /// What steers it from step to step.
    pub bound_controller: Option<BoundController>,
}

impl Attached {
    /// An encoder that reads the value alone, and a decoder that reads the words alone.
    pub fn new(encode: impl Operator + 'static, decode: impl Operator + 'static) -> Self {
        let (encode_reads, decode_reads) = (Vec::new(), Vec::new());
        Self {
            encode: Rc::new(encode),
            encode_reads,
            decode: Rc::new(decode),
            decode_reads,
            makes_mask: false,
            bound_controller: None,
        }
    }

    /// As [`Attached::new`], but the encoder reads the control words (see [`Graph::control`]) as well, by which it draws random
    /// numbers.
    pub fn plain(graph: &mut Graph, encode: impl Operator + 'static, decode: impl Operator + 'static) -> Self {
        Self { encode_reads: vec![graph.control()], ..Self::new(encode, decode) }
    }

    /// Adds encoder and decoder of `source` to a graph, one after the other: for checking what a codec promises. Returns the
    /// words and what comes of them.
    ///
    /// # Errors
    /// [`GraphError::Shape`] if the codec cannot serve the value.
    pub fn round_trip(self, graph: &mut Graph, source: ValueId) -> Result<[ValueId; 2], GraphError> {
        let reads = |first: ValueId, others: Vec<ValueId>| [vec![first], others].concat();
        let words = graph.apply_shared(self.encode, &reads(source, self.encode_reads))?[0];
        let decoded = graph.apply_shared(self.decode, &reads(words, self.decode_reads))?[0];
        Ok([words, decoded])
    }
}

/// What an encoder draws random numbers for: two values must not draw the same ones.
fn stream(context: &KernelContext) -> u32 {
    let names = [context.inputs[0], context.outputs[0]].into_iter().flat_map(|value| value.name.bytes());
    names.fold(0, |key, byte| crate::random::hash(key ^ u32::from(byte)))
}

/// The form of values that are made again.
pub(crate) const REBUILT: &str = "rebuilt";

/// A kept value and the form it waits in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stored {
    /// The forward value.
    pub source: ValueId,
    /// What waits: the source itself, or packed words. Of a value that is [made again](Stored::is_rebuilt) nothing waits.
    pub waiting: ValueId,
    /// The name of the form.
    pub form: &'static str,
    /// The rule of the policy that chose the form.
    pub rule: Option<usize>,
    /// What the backward pass reads in its place, where it is decoded.
    pub views: Vec<ValueId>,
    /// What steers the codec from step to step.
    pub bound_controller: Option<BoundController>,
}

impl Stored {
    fn new(source: ValueId, waiting: ValueId, form: &'static str, rule: Option<usize>) -> Self {
        Self { source, waiting, form, rule, views: Vec::new(), bound_controller: None }
    }

    fn rebuilt(source: ValueId) -> Self {
        Self::new(source, source, REBUILT, None)
    }

    /// Whether nothing waits, because the value is made again in the backward pass.
    pub fn is_rebuilt(&self) -> bool {
        self.form == REBUILT
    }
}

/// Puts a codec on each kept value: encodes right after it is made, so that its last forward reader may overwrite it,
/// and decodes right before the first backward reader. Before that, what the policy makes again ([`recompute`]) is taken
/// out of what is kept.
///
/// A mask is taken from the values themselves where they wait raw for another reader anyway, and from packed bits
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
    let mut decoders: HashMap<ValueId, (Rc<dyn Operator>, Vec<ValueId>)> = HashMap::new();
    let mut stored: Vec<Stored> = Vec::new();

    let origins = Origin::of(graph, keeps.iter().map(|keep| keep.source));
    let choices: HashMap<ValueId, Choice> = keeps
        .iter()
        .filter(|keep| keep.need == Need::Values)
        .map(|keep| {
            let serves = |codec: &dyn Codec| {
                let mut views = keeps.iter().filter(|k| k.source == keep.source && k.need == Need::Values);
                views.all(|keep| codec.serves(graph, keep.view))
            };
            (keep.source, policy.choose(graph.value(keep.source), &origins[&keep.source], &serves))
        })
        .collect();
    let waits_raw = |source: ValueId| {
        let chosen_raw = choices.get(&source).is_some_and(|choice| choice.codec.is_none());
        chosen_raw || keeps.iter().any(|keep| keep.source == source && keep.need == Need::Exact)
    };
    // Masks first: a codec of the same value may make use of one.
    let mut masks: HashMap<ValueId, ValueId> = HashMap::new();
    for &Keep { source, view, need } in keeps.iter().filter(|keep| !waits_raw(keep.source)) {
        let Need::Within(interval) = need else { continue };
        graph.set_phase(Phase::Forward);
        let node = graph.make_node(Rc::new(mask::EncodeMask(interval)), &[source], origins[&source].layer.clone())?;
        let words = node.outputs[0];
        graph.value_mut(words).kind = Kind::Stored;
        replace.insert(view, words);
        if interval == Interval::POSITIVE {
            masks.insert(source, words);
        }
        after.entry(source).or_default().push(node);
        stored.push(Stored::new(source, words, "mask", None));
    }
    for &Keep { source, need, view } in &keeps {
        if replace.contains_key(&view) {
            continue;
        }
        let value = graph.value(source).clone();
        let layer = origins[&source].layer.clone();
        let Choice { rule, codec } = choices.get(&source).cloned().unwrap_or_default();
        match codec.filter(|_| need == Need::Values) {
            Some(codec) => {
                let known = stored.iter().position(|s| s.source == source && s.form == codec.name());
                let (index, decode) = match known {
                    Some(index) => (index, decoders[&source].clone()),
                    None => {
                        graph.set_phase(Phase::Forward);
                        let mask = masks.get(&source).copied();
                        let attached = codec.attach(graph, &Site { source, mask })?;
                        let mut inputs = vec![source];
                        inputs.extend(attached.encode_reads);
                        let mut encode = graph.make_node(attached.encode, &inputs, layer.clone())?;
                        let words = encode.outputs[0];
                        graph.value_mut(words).kind = Kind::Stored;
                        let encoders = after.entry(source).or_default();
                        if let Some(mask) = mask.filter(|_| attached.makes_mask) {
                            encode.outputs[1] = mask;
                            encoders.retain(|node| node.outputs != [mask]);
                        }
                        encoders.push(encode);
                        let bound_controller = attached.bound_controller;
                        stored.push(Stored { bound_controller, ..Stored::new(source, words, codec.name(), rule) });
                        let decode = (attached.decode, attached.decode_reads);
                        decoders.insert(source, decode.clone());
                        (stored.len() - 1, decode)
                    }
                };
                stored[index].views.push(view);
                graph.set_phase(Phase::Backward);
                let (decode, reads) = decode;
                let mut inputs = vec![stored[index].waiting];
                inputs.extend(reads);
                let mut decode = graph.make_node(decode, &inputs, layer)?;
                decode.outputs = vec![view];
                before.insert(view, decode);
            }
            None => {
                replace.insert(view, source);
                // Of the words that a forward pass makes, only pooling's are kept.
                let form = match (value.element, value.kind) {
                    (Element::U32, Kind::Activation) => "window index",
                    _ => "raw",
                };
                if !stored.iter().any(|s: &Stored| s.waiting == source) {
                    stored.push(Stored::new(source, source, form, rule));
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
    error_bounded::add_bound_controllers(graph, &stored)?;
    graph.set_phase(Phase::Update);
    stored.extend(rebuilt.into_iter().map(Stored::rebuilt));
    Ok(stored)
}
