//! Segments of the forward pass that run again in the backward pass: checkpointing (arXiv 1604.06174).
//!
//! Values that cross from one segment to the next wait, in the form that the policy chooses. When the backward pass comes to
//! a segment, all that its gradient rules keep is made again from them, convolutions included, and lives raw until it is
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
use crate::ir::{Graph, GraphError, Keep, Kind, Need, Node, Operator, Part, Phase, Value, ValueId};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Cuts the net, and runs each segment but the last again before the first backward node that reads something of it.
/// Returns what is made again.
pub(super) fn rewrite(graph: &mut Graph, policy: &Policy) -> Result<Vec<ValueId>, GraphError> {
    let forward = Forward::new(graph, policy);
    let last = forward.cuts.len();
    let segment = |value: &ValueId| forward.made_at.get(value).map(|&position| forward.segment(position));
    let (again, kept): (Vec<Keep>, Vec<Keep>) = graph.take_keeps().into_iter().partition(|keep| {
        segment(&keep.source).is_some_and(|segment| segment < last)
            && !forward.crosses(keep.source)
            && forward.repeats(graph, keep.source)
    });
    graph.set_keeps(kept);
    let of_view: HashMap<ValueId, usize> =
        again.iter().filter_map(|keep| Some((keep.view, segment(&keep.source)?))).collect();
    let mut runs: Vec<Option<HashMap<ValueId, ValueId>>> = vec![None; last];
    let mut rewritten = Vec::new();
    for mut node in graph.take_nodes() {
        for input in &mut node.inputs {
            let Some(&segment) = of_view.get(input) else { continue };
            if runs[segment].is_none() {
                let keeps = again.iter().filter(|keep| of_view[&keep.view] == segment);
                let mut run = Run { graph, forward: &forward, made: HashMap::new(), nodes: Vec::new() };
                runs[segment] = Some(run.all(segment, &keeps.collect::<Vec<_>>())?);
                rewritten.append(&mut run.nodes);
            }
            *input = runs[segment].as_ref().map_or(*input, |views| views[&*input]);
        }
        rewritten.push(node);
    }
    graph.set_nodes(rewritten);
    let mut rebuilt: Vec<ValueId> =
        again.iter().filter(|keep| keep.need == Need::Values).map(|keep| keep.source).collect();
    rebuilt.sort_unstable();
    rebuilt.dedup();
    Ok(rebuilt)
}

/// A second run of a segment.
struct Run<'g> {
    graph: &'g mut Graph,
    forward: &'g Forward,
    /// By the value of the first run, that of the second, or the view of what waited.
    made: HashMap<ValueId, ValueId>,
    nodes: Vec<Node>,
}

impl Run<'_> {
    /// Makes what these keeps want; returns the value for each of their views.
    fn all(&mut self, segment: usize, keeps: &[&Keep]) -> Result<HashMap<ValueId, ValueId>, GraphError> {
        let forward = self.forward;
        let mut wanted: HashSet<ValueId> = keeps.iter().map(|keep| keep.source).collect();
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
        let mut views = HashMap::new();
        for position in positions.into_iter().rev() {
            self.node(&forward.nodes[position])?;
            // A mask is taken of signs, so that the value need not live as long: it is read by the convolution behind the
            // rectifier, the signs only after that convolution has made its input's gradient.
            for keep in keeps.iter().filter(|keep| forward.nodes[position].outputs.contains(&keep.source)) {
                let value = self.made[&keep.source];
                let view = match keep.need {
                    Need::Within(interval) => {
                        self.push(Rc::new(EncodeMask(interval)), &[value], &forward.nodes[position].layer)?[0]
                    }
                    _ => value,
                };
                views.insert(keep.view, view);
            }
        }
        Ok(views)
    }

    /// Runs a node again; one that would change something beside its outputs only rebuilds the first of them.
    fn node(&mut self, node: &Node) -> Result<(), GraphError> {
        let values: Vec<&Value> = node.inputs.iter().map(|&v| self.graph.value(v)).collect();
        let rebuild = (!node.operator.mutates().is_empty()).then(|| node.operator.rebuild(&values)).flatten();
        let Some(rebuild) = rebuild else {
            let inputs: Vec<ValueId> = node.inputs.iter().map(|&v| self.value(v, Need::Values)).collect();
            let outputs = self.push(node.operator.clone(), &inputs, &node.layer)?;
            self.made.extend(node.outputs.iter().copied().zip(outputs));
            return Ok(());
        };
        let mut so_far = node.outputs[0];
        for (operator, parts) in rebuild.steps {
            let part = |part: &Part| match *part {
                Part::Input(index) => self.value(node.inputs[index], Need::Values),
                Part::Output(index) => self.value(node.outputs[index], Need::Exact),
                Part::Within(interval) => self.value(node.outputs[0], Need::Within(interval)),
                Part::SoFar => so_far,
            };
            let inputs: Vec<ValueId> = parts.iter().map(part).collect();
            so_far = self.push(operator, &inputs, &node.layer)?[0];
        }
        self.made.insert(node.outputs[0], so_far);
        Ok(())
    }

    /// A value of the first run, as the second has it: made again, or kept.
    fn value(&mut self, value: ValueId, need: Need) -> ValueId {
        if is_there(self.graph.value(value)) {
            return value;
        }
        if let Some(&known) = self.made.get(&value) {
            return known;
        }
        let shared = |keep: &&Keep| need != Need::Values && keep.source == value && keep.need == need;
        let known = self.graph.keeps().iter().find(shared).map(|keep| keep.view);
        let view = known.unwrap_or_else(|| self.graph.keep(value, need));
        self.made.insert(value, view);
        view
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
            self.graph.value_mut(output).kind = Kind::Stored;
        }
        self.nodes.push(node);
        Ok(outputs)
    }
}
