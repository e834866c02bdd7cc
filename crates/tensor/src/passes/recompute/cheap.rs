//! Values recomputed element by element.
//!
//! Of convolution, batch norm and rectifier one value waits: the norm's input x, which its own gradient needs, beside the
//! rectifier's mask and the batch's statistics, which wait exactly in any case. What the next convolution read is γ·(x − mean)·inv_std + β
//! where the mask is set, and 0 elsewhere: a pass to decode and a pass for the rest ([`Operator::fused`]), in the memory in which x is
//! decoded. That memory is free again before the norm's gradient decodes x anew. Where max pooling lies between norm and
//! rectifier, its exact indices say what to take of the norm's result.
//!
//! **What is kept.** A value is recomputed where everything that it follows from is kept for other readers, so nothing
//! is kept in its place but masks. Residual additions make long chains of that: the output of a block is
//! `relu(norm(x) + output of the block before)`, and so on to the beginning of the stage. Each block adds two passes (decode;
//! norm, add, rectify), so in a stage of n blocks keeping no output at all would cost n² of them. Outputs are
//! therefore kept as soon as recomputing would take more than `PASSES` passes: every seventh block or so. A block has several
//! kept values besides, so this costs few bytes, and it bounds the work by a constant for each block. Passes are counted
//! in elements visited: those over what is pooled count as often as it is larger than what comes of it. A part of a
//! concatenation is recomputed with each of those that it is in, so it is kept where it takes more than a norm.
//!
//! **What is in flight.** To make an addition again takes memory for both addends where decoding takes it for one value, and
//! to pool again takes memory for what is pooled. Where that would make a step's peak higher than with nothing recomputed,
//! because a net has few layers and its first are the widest, the widest such results are kept (`save_tensors_within`).

use crate::ir::{
    Graph, GraphError, Need, Node, Operator, Phase, RecomputeInput, RecomputeRule, Role, SavedTensor, Value, ValueId,
};
use crate::step::CONTROL;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Most passes over a value's elements that making it again may take, decoding included.
const PASSES: u64 = 16;

/// Those of a decoded value, and of a norm with its rectifier: without additions and pooling.
const PASSES_OF_ONE: u64 = 2;

/// Within so many nodes of the backward pass a value that was recomputed is read again rather than made anew.
const NEAR: usize = 4;

/// Makes values again right before their backward readers: all that is `always` recomputed, and with `wide`
/// also what takes a few passes over the elements, as many as additions and pooling take if none that they read has `wide`
/// elements or more. Returns what is recomputed by passes.
pub(super) fn rewrite(graph: &mut Graph, wide: Option<u64>) -> Result<Vec<ValueId>, GraphError> {
    let nodes = graph.take_nodes();
    let mut this = Recomputer::new(graph, &nodes, wide);
    let saved = this.graph.take_saved_tensors();
    let (recomputed, saved): (Vec<SavedTensor>, Vec<SavedTensor>) = saved
        .into_iter()
        .partition(|saved| !matches!(saved.need, Need::Within(_)) && this.rule_of(saved.source, saved.need).is_some());
    this.graph.set_saved_tensors(saved);
    let of_decoded: HashMap<ValueId, SavedTensor> =
        recomputed.into_iter().map(|saved| (saved.decoded, saved)).collect();
    let mut rewritten = Vec::with_capacity(nodes.len());
    // By its decoded value, what was recomputed, and for which node last.
    let mut made: HashMap<ValueId, (ValueId, usize)> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        let mut node = node.clone();
        for input in &mut node.inputs {
            if let Some(saved) = of_decoded.get(input) {
                let value = match made.get(input) {
                    Some((value, last)) if index - last <= NEAR => *value,
                    _ => this.make(saved.source, saved.need, &mut rewritten)?,
                };
                made.insert(*input, (value, index));
                *input = value;
            }
        }
        rewritten.push(node);
    }
    let mut recomputed: Vec<ValueId> =
        of_decoded.values().map(|k| k.source).filter(|v| this.recomputed.contains_key(v)).collect();
    recomputed.sort_unstable();
    recomputed.dedup();
    graph.set_nodes(rewritten);
    Ok(recomputed)
}

/// Whether a value is there in the backward pass whatever is kept.
pub(super) fn is_there(value: &Value) -> bool {
    value.is_persistent() || (value.role == Role::Input && value.name == CONTROL)
}

struct Recomputer<'g> {
    graph: &'g mut Graph,
    /// The node that makes a value as its first output, in the forward pass.
    makers: HashMap<ValueId, &'g Node>,
    /// Elements visited to have a value in the backward pass, where that is possible.
    costs: HashMap<ValueId, u64>,
    /// What is recomputed by passes, instead of being kept or on the way to such a value, with the last operator of it.
    recomputed: HashMap<ValueId, Rc<dyn Operator>>,
}

impl<'g> Recomputer<'g> {
    fn new(graph: &'g mut Graph, nodes: &'g [Node], wide: Option<u64>) -> Self {
        let forward = || nodes.iter().filter(|node| node.phase == Phase::Forward && !node.outputs.is_empty());
        let makers = forward().map(|node| (node.outputs[0], node)).collect();
        let mut this = Self { graph, makers, costs: HashMap::new(), recomputed: HashMap::new() };
        if let Some(wide) = wide {
            // What is asked of a value that is always recomputed is asked of what it is made of.
            let of_values = this.graph.saved_tensors().iter().filter(|saved| saved.need == Need::Values);
            let mut needed: HashSet<ValueId> = of_values.map(|saved| saved.source).collect();
            let mut parts = HashSet::new();
            for node in forward().rev() {
                if needed.contains(&node.outputs[0]) && this.recompute(node).is_some_and(|rule| rule.always) {
                    needed.extend(&node.inputs);
                    parts.extend(node.inputs.iter().copied().filter(|_| node.inputs.len() > 1));
                }
            }
            let inputs: Vec<ValueId> = needed.iter().copied().filter(|v| !this.makers.contains_key(v)).collect();
            this.choose(inputs, forward(), &needed, &parts, wide);
        }
        this
    }

    /// Goes through the forward pass and notes what each value costs, and which needed ones are cheap enough. `parts` are those
    /// of concatenations.
    fn choose<'n>(
        &mut self,
        inputs: Vec<ValueId>,
        forward: impl Iterator<Item = &'n Node>,
        needed: &HashSet<ValueId>,
        parts: &HashSet<ValueId>,
        wide: u64,
    ) {
        for input in inputs {
            self.costs.insert(input, self.elements(input));
        }
        for node in forward {
            let value = node.outputs[0];
            let rule = self.recompute(node);
            let always = rule.as_ref().is_some_and(|rule| rule.always);
            let cost = rule.as_ref().and_then(|rule| self.cost(node, rule));
            let elements = self.elements(value);
            let widest = node.inputs.iter().map(|&v| self.elements(v)).fold(elements, u64::max);
            let passes = if widest < wide && !parts.contains(&value) { PASSES } else { PASSES_OF_ONE };
            let cheap = cost.is_some_and(|cost| cost <= passes * elements);
            if let Some(cost) = cost.filter(|_| always || cheap) {
                self.costs.insert(value, cost);
                if let Some((operator, parts)) = rule.filter(|_| !always).and_then(|mut r| r.steps.pop()) {
                    let fused = self.fused(node, &operator, &parts).map(|(_, fused)| fused);
                    self.recomputed.insert(value, fused.unwrap_or(operator));
                }
            } else if needed.contains(&value) {
                self.costs.insert(value, self.elements(value));
            }
        }
    }

    fn elements(&self, value: ValueId) -> u64 {
        self.graph.shape(value).elements() as u64
    }

    fn recompute(&self, node: &Node) -> Option<RecomputeRule> {
        let inputs: Vec<&Value> = node.inputs.iter().map(|&v| self.graph.value(v)).collect();
        node.operator.recompute(&inputs)
    }

    /// Elements visited by all steps and by what makes their inputs; `None` if one of them cannot be had.
    fn cost(&self, node: &Node, rule: &RecomputeRule) -> Option<u64> {
        let mut cost = 0;
        let mut fused = false;
        for (operator, parts) in &rule.steps {
            fused = !rule.always && self.fused(node, operator, parts).is_some();
            for part in parts {
                if let RecomputeInput::Input(index) = *part
                    && !is_there(self.graph.value(node.inputs[index]))
                {
                    cost += self.costs.get(&node.inputs[index])?;
                }
            }
        }
        Some(if fused { cost } else { cost + self.elements(node.outputs[0]) })
    }

    /// The part of a step whose own last operator can do the step in the same pass, and the operator that does both.
    fn fused(
        &self,
        node: &Node,
        step: &Rc<dyn Operator>,
        parts: &[RecomputeInput],
    ) -> Option<(usize, Rc<dyn Operator>)> {
        parts.iter().enumerate().find_map(|(place, part)| match *part {
            RecomputeInput::Input(index) => Some((place, self.recomputed.get(&node.inputs[index])?.fused(&**step)?)),
            _ => None,
        })
    }

    /// How a value is recomputed; `None` where it is kept.
    fn rule_of(&self, value: ValueId, need: Need) -> Option<(&'g Node, RecomputeRule)> {
        let node = *self.makers.get(&value)?;
        let rule = self.recompute(node)?;
        let asked = need == Need::Values && self.recomputed.contains_key(&value);
        (rule.always || asked).then_some((node, rule))
    }

    /// Appends the nodes that make a value again and returns what they make.
    fn make(&mut self, value: ValueId, need: Need, nodes: &mut Vec<Node>) -> Result<ValueId, GraphError> {
        if is_there(self.graph.value(value)) {
            return Ok(value);
        }
        let Some((maker, rule)) = self.rule_of(value, need) else {
            // A separate decoded value lives no longer than its one reader.
            return Ok(self.graph.save(value, need));
        };
        let mut so_far = None;
        for (operator, parts) in rule.steps {
            // The part that takes most on its way is made first: nothing waits beside it then. The one that does the step in
            // the same pass is made last.
            let last = self.fused(maker, &operator, &parts).map(|(place, _)| place);
            let mut order: Vec<usize> = (0..parts.len()).collect();
            let cost = |index: usize| match parts[index] {
                RecomputeInput::Input(input) => self.costs.get(&maker.inputs[input]).copied().unwrap_or(0),
                _ => 0,
            };
            order.sort_by_key(|&index| (last == Some(index), Reverse(cost(index))));
            let mut inputs = vec![value; parts.len()];
            for index in order {
                inputs[index] = match parts[index] {
                    RecomputeInput::Input(input) => self.make(maker.inputs[input], need, nodes)?,
                    RecomputeInput::Output(output) => self.shared(maker.outputs[output], Need::Exact),
                    RecomputeInput::Within(interval) => self.shared(value, Need::Within(interval)),
                    RecomputeInput::SoFar => so_far.expect("the first step has none before it"),
                };
            }
            let mut operator = operator;
            if let Some(place) = last
                && let Some(both) = nodes.last().and_then(|before| before.operator.fused(&*operator))
                && let Some(before) = nodes.pop_if(|before| before.outputs[0] == inputs[place])
            {
                inputs.remove(place);
                inputs.splice(..0, before.inputs);
                operator = both;
            }
            self.graph.set_phase(Phase::Backward);
            let node = self.graph.make_node(operator, &inputs, maker.layer.clone())?;
            let output = node.outputs[0];
            self.graph.value_mut(output).role = Role::Stored;
            nodes.push(node);
            so_far = Some(output);
        }
        Ok(so_far.expect("recomputing has steps"))
    }

    /// What is small has one decoded value for all its readers.
    fn shared(&mut self, value: ValueId, need: Need) -> ValueId {
        let known = self.graph.saved_tensors().iter().find(|saved| saved.source == value && saved.need == need);
        known.map(|saved| saved.decoded).unwrap_or_else(|| self.graph.save(value, need))
    }
}
