//! The form in which each saved tensor is kept from the forward to the backward pass.

use super::{Pass, counted, recompute};
use crate::codec::mask::EncodeMask;
use crate::codec::{Choice, Codec, GradientReaders, Origin, Policy, Recompute, Site, Stored, data_sized};
use crate::ir::{Element, Graph, GraphError, Interval, Need, Node, Operator, Phase, Role, SavedTensor, ValueId};
use std::cell::LazyCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// Puts a codec on each saved tensor: encodes right after it is made, so that its last forward reader may overwrite it,
/// and decodes right before the first backward reader. Before that, what the policy recomputes ([`recompute`]) is taken
/// out of what is saved; `wide` values are not recomputed by additions and pooling.
///
/// A mask is taken from the values themselves where they are kept raw for another reader anyway, and from packed bits
/// otherwise.
///
/// # Errors
/// [`GraphError::Shape`] if a codec takes a value that its operators refuse.
fn save_tensors(graph: &mut Graph, policy: &Policy, wide: u64) -> Result<Vec<Stored>, GraphError> {
    let recomputed = Pass::Recompute.run(graph, |graph| {
        let nodes = graph.nodes().len();
        let recomputed = recompute::rewrite(graph, policy, wide)?;
        let added = counted(graph.nodes().len() - nodes, "node");
        let did = format!(
            "{} recomputed by {added}, {} left to save",
            counted(recomputed.len(), "value"),
            graph.saved_tensors().len()
        );
        Ok((recomputed, did))
    })?;
    let mut stored = Pass::SaveTensors.run(graph, |graph| {
        let stored = choose_forms(graph, policy)?;
        let did = forms(&stored);
        Ok((stored, did))
    })?;
    Pass::ControlSizes.run(graph, |graph| {
        let nodes = graph.nodes().len();
        data_sized::add_controllers(graph, &stored)?;
        let sized = stored.iter().filter(|stored| stored.data_sized.is_some()).count();
        Ok((
            (),
            format!(
                "{}, {} for them",
                counted(sized, "data-sized value"),
                counted(graph.nodes().len() - nodes, "node")
            ),
        ))
    })?;
    graph.set_phase(Phase::Update);
    stored.extend(recomputed.into_iter().map(Stored::recomputed));
    Ok(stored)
}

/// How many saved tensors are kept in each form.
fn forms(stored: &[Stored]) -> String {
    let mut forms: BTreeMap<&str, usize> = BTreeMap::new();
    stored.iter().for_each(|stored| *forms.entry(stored.form).or_default() += 1);
    let forms: Vec<String> = forms.into_iter().map(|(form, count)| format!("{count} {form}")).collect();
    if forms.is_empty() { "nothing is kept".to_owned() } else { forms.join(", ") }
}

/// Gives each saved tensor its form.
fn choose_forms(graph: &mut Graph, policy: &Policy) -> Result<Vec<Stored>, GraphError> {
    let all = graph.take_saved_tensors();
    let mut after: HashMap<ValueId, Vec<Node>> = HashMap::new();
    let mut before: HashMap<ValueId, Node> = HashMap::new();
    let mut replace: HashMap<ValueId, ValueId> = HashMap::new();
    let mut decoders: HashMap<ValueId, (Rc<dyn Operator>, Vec<ValueId>)> = HashMap::new();
    let mut stored: Vec<Stored> = Vec::new();

    let origins = Origin::of(graph, all.iter().map(|saved| saved.source));
    let readers = LazyCell::new(|| GradientReaders::of(graph));
    let choices: HashMap<ValueId, Choice> = all
        .iter()
        .filter(|saved| saved.need == Need::Values)
        .map(|saved| {
            let serves = |codec: &dyn Codec| {
                let mut of_source = all.iter().filter(|k| k.source == saved.source && k.need == Need::Values);
                of_source.all(|saved| codec.serves(graph, &readers, saved.decoded))
            };
            (saved.source, policy.choose(graph.value(saved.source), &origins[&saved.source], &serves))
        })
        .collect();
    let waits_raw = |source: ValueId| {
        let chosen_raw = choices.get(&source).is_some_and(|choice| choice.codec.is_none());
        chosen_raw || all.iter().any(|saved| saved.source == source && saved.need == Need::Exact)
    };
    // Masks first: a codec of the same value may make use of one.
    let mut masks: HashMap<ValueId, ValueId> = HashMap::new();
    for &SavedTensor { source, decoded, need } in all.iter().filter(|saved| !waits_raw(saved.source)) {
        let Need::Within(interval) = need else { continue };
        graph.set_phase(Phase::Forward);
        let node = graph.make_node(Rc::new(EncodeMask(interval)), &[source], origins[&source].layer.clone())?;
        let words = node.outputs[0];
        graph.value_mut(words).role = Role::Stored;
        replace.insert(decoded, words);
        if interval == Interval::POSITIVE {
            masks.insert(source, words);
        }
        after.entry(source).or_default().push(node);
        stored.push(Stored::new(source, words, "mask", None));
    }
    for &SavedTensor { source, need, decoded } in &all {
        if replace.contains_key(&decoded) {
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
                        graph.value_mut(words).role = Role::Stored;
                        let encoders = after.entry(source).or_default();
                        if let Some(mask) = mask.filter(|_| attached.makes_mask) {
                            encode.outputs[1] = mask;
                            encoders.retain(|node| node.outputs != [mask]);
                        }
                        encoders.push(encode);
                        let data_sized = attached.data_sized;
                        stored.push(Stored { data_sized, ..Stored::new(source, words, codec.name(), rule) });
                        let decode = (attached.decode, attached.decode_reads);
                        decoders.insert(source, decode.clone());
                        (stored.len() - 1, decode)
                    }
                };
                stored[index].decoded.push(decoded);
                graph.set_phase(Phase::Backward);
                let (decode, reads) = decode;
                let mut inputs = vec![stored[index].kept];
                inputs.extend(reads);
                let mut decode = graph.make_node(decode, &inputs, layer)?;
                decode.outputs = vec![decoded];
                before.insert(decoded, decode);
            }
            None => {
                replace.insert(decoded, source);
                // Of the words that a forward pass makes, only pooling's are kept.
                let form = match (value.element, value.role) {
                    (Element::U32, Role::Activation) => "window index",
                    _ => "raw",
                };
                if !stored.iter().any(|s: &Stored| s.kept == source) {
                    stored.push(Stored::new(source, source, form, rule));
                }
            }
        }
    }

    let mut nodes = Vec::new();
    for (source, encoders) in &mut after {
        if graph.value(*source).role == Role::Input {
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
    Ok(stored)
}

/// Saves tensors as the policy says ([`save_tensors`]). If values are recomputed cheaply and `peak` is higher
/// by that than with nothing recomputed, the widest that are made by additions and pooling are kept.
///
/// # Errors
/// As [`save_tensors`].
pub(super) fn save_tensors_within(
    graph: Graph,
    policy: &Policy,
    peak: &dyn Fn(&Graph) -> Result<u64, GraphError>,
) -> Result<(Graph, Vec<Stored>), GraphError> {
    let with = |policy: &Policy, wide: u64| {
        let mut graph = graph.clone();
        let stored = save_tensors(&mut graph, policy, wide)?;
        Ok((graph, stored))
    };
    let mut chosen = with(policy, u64::MAX)?;
    if policy.recompute != Recompute::Cheap {
        return Ok(chosen);
    }
    let (nothing, _) = with(&policy.clone().recompute(Recompute::None), 0)?;
    let limit = peak(&nothing)?;
    let mut wide = graph.values().iter().map(|value| value.shape.elements() as u64).max().unwrap_or(0);
    while peak(&chosen.0)? > limit && wide > 0 {
        chosen = with(policy, wide)?;
        wide /= 2;
    }
    Ok(chosen)
}
