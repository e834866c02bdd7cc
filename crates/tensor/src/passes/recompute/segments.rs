//! Segments of the forward pass that run again in the backward pass: checkpointing (arXiv 1604.06174).
//!
//! Values that cross from one segment to the next wait, in the form that the policy chooses. When the backward pass comes to
//! a segment, all that its gradient rules keep is recomputed from them, convolutions included, and lives raw until it is
//! used. Where the net is cut is said in `borders.rs`.
//!
//! Nothing happens twice that must not: batch norms are applied again with the batch's mean and inv_std, which wait in any
//! case, so running statistics move once; dropout draws the same numbers, because they are keyed by the step. With values kept
//! raw the second run works on the same bits with the same kernels as the first, so training is the same bit for bit. (In f16
//! not quite: a residual addition that the first run does in one pass with its norm is rounded once more in the second.)

use super::borders::Forward;
use super::cheap::is_there;
use crate::codec::Policy;
use crate::codec::mask::EncodeMask;
use crate::ir::{Graph, GraphError, Need, Node, Operator, Phase, RecomputeInput, Role, SavedTensor, Value, ValueId};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Cuts the net, and runs each segment but the last again before the first backward node that reads something of it.
/// Returns what is recomputed.
pub(super) fn rewrite(graph: &mut Graph, policy: &Policy) -> Result<Vec<ValueId>, GraphError> {
    let forward = Forward::new(graph, policy);
    let last = forward.cuts.len();
    let segment = |value: &ValueId| forward.made_at.get(value).map(|&position| forward.segment(position));
    let (recomputed, saved): (Vec<SavedTensor>, Vec<SavedTensor>) =
        graph.take_saved_tensors().into_iter().partition(|saved| {
            segment(&saved.source).is_some_and(|segment| segment < last)
                && !forward.crosses(saved.source)
                && forward.repeats(graph, saved.source)
        });
    graph.set_saved_tensors(saved);
    let of_decoded: HashMap<ValueId, usize> =
        recomputed.iter().filter_map(|saved| Some((saved.decoded, segment(&saved.source)?))).collect();
    let mut runs: Vec<Option<HashMap<ValueId, ValueId>>> = vec![None; last];
    let mut rewritten = Vec::new();
    for mut node in graph.take_nodes() {
        for input in &mut node.inputs {
            let Some(&segment) = of_decoded.get(input) else { continue };
            if runs[segment].is_none() {
                let saved = recomputed.iter().filter(|saved| of_decoded[&saved.decoded] == segment);
                let mut run = Run { graph, forward: &forward, made: HashMap::new(), nodes: Vec::new() };
                runs[segment] = Some(run.all(segment, &saved.collect::<Vec<_>>())?);
                rewritten.append(&mut run.nodes);
            }
            *input = runs[segment].as_ref().map_or(*input, |decoded| decoded[&*input]);
        }
        rewritten.push(node);
    }
    graph.set_nodes(rewritten);
    let mut recomputed: Vec<ValueId> =
        recomputed.iter().filter(|saved| saved.need == Need::Values).map(|saved| saved.source).collect();
    recomputed.sort_unstable();
    recomputed.dedup();
    Ok(recomputed)
}

/// A second run of a segment.
struct Run<'g> {
    graph: &'g mut Graph,
    forward: &'g Forward,
    /// By the value of the first run, that of the second, or the decoded value of what was saved.
    made: HashMap<ValueId, ValueId>,
    nodes: Vec<Node>,
}

impl Run<'_> {
    /// Makes what these keeps want; returns the value for each of their decoded.
    fn all(&mut self, segment: usize, saved: &[&SavedTensor]) -> Result<HashMap<ValueId, ValueId>, GraphError> {
        let forward = self.forward;
        let mut wanted: HashSet<ValueId> = saved.iter().map(|saved| saved.source).collect();
        let here: Vec<usize> =
            (0..forward.nodes.len()).filter(|&position| forward.segment(position) == segment).collect();
        let mut positions = Vec::new();
        for &position in here.iter().rev() {
            let node = &forward.nodes[position];
            if node.outputs.iter().any(|output| wanted.contains(output)) {
                positions.push(position);
                wanted.extend(node.inputs.iter().filter(|v| !forward.crosses(**v)));
            }
        }
        self.graph.set_phase(Phase::Backward);
        let mut read_instead = HashMap::new();
        for position in positions.into_iter().rev() {
            self.node(&forward.nodes[position])?;
            // A mask is taken of signs, so that the value need not live as long: it is read by the convolution behind the
            // rectifier, the signs only after that convolution has made its input's gradient.
            for saved in saved.iter().filter(|saved| forward.nodes[position].outputs.contains(&saved.source)) {
                let value = self.made[&saved.source];
                let decoded = match saved.need {
                    Need::Within(interval) => {
                        self.push(Rc::new(EncodeMask(interval)), &[value], &forward.nodes[position].layer)?[0]
                    }
                    _ => value,
                };
                read_instead.insert(saved.decoded, decoded);
            }
        }
        Ok(read_instead)
    }

    /// Runs a node again; one that would change something beside its outputs only recomputes the first of them.
    fn node(&mut self, node: &Node) -> Result<(), GraphError> {
        let values: Vec<&Value> = node.inputs.iter().map(|&v| self.graph.value(v)).collect();
        let rule = (!node.operator.mutates().is_empty()).then(|| node.operator.recompute(&values)).flatten();
        let Some(rule) = rule else {
            let inputs: Vec<ValueId> = node.inputs.iter().map(|&v| self.value(v, Need::Values)).collect();
            let outputs = self.push(node.operator.clone(), &inputs, &node.layer)?;
            self.made.extend(node.outputs.iter().copied().zip(outputs));
            return Ok(());
        };
        let mut so_far = node.outputs[0];
        for (operator, parts) in rule.steps {
            let part = |part: &RecomputeInput| match *part {
                RecomputeInput::Input(index) => self.value(node.inputs[index], Need::Values),
                RecomputeInput::Output(index) => self.value(node.outputs[index], Need::Exact),
                RecomputeInput::Within(interval) => self.value(node.outputs[0], Need::Within(interval)),
                RecomputeInput::SoFar => so_far,
            };
            let inputs: Vec<ValueId> = parts.iter().map(part).collect();
            so_far = self.push(operator, &inputs, &node.layer)?[0];
        }
        self.made.insert(node.outputs[0], so_far);
        Ok(())
    }

    /// A value of the first run, as the second has it: recomputed, or kept.
    fn value(&mut self, value: ValueId, need: Need) -> ValueId {
        if is_there(self.graph.value(value)) {
            return value;
        }
        if let Some(&known) = self.made.get(&value) {
            return known;
        }
        let shared = |saved: &&SavedTensor| need != Need::Values && saved.source == value && saved.need == need;
        let known = self.graph.saved_tensors().iter().find(shared).map(|saved| saved.decoded);
        let decoded = known.unwrap_or_else(|| self.graph.save(value, need));
        self.made.insert(value, decoded);
        decoded
    }

    fn push(
        &mut self,
        operator: Rc<dyn Operator>,
        inputs: &[ValueId],
        layer: &str,
    ) -> Result<Vec<ValueId>, GraphError> {
        let node = self.graph.make_node(operator, inputs, layer.to_owned())?;
        let outputs = node.outputs.clone();
        for &output in &outputs {
            self.graph.value_mut(output).role = Role::Stored;
        }
        self.nodes.push(node);
        Ok(outputs)
    }
}
