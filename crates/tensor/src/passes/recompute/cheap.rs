//! Values made again element by element.
//!
//! Of convolution, batch norm and rectifier one value waits: the norm's input x, which its own gradient needs, beside the
//! rectifier's mask and the batch's statistics, which wait exactly in any case. What the next convolution read is γ·(x − mean)·inv_std + β
//! where the mask is set, and 0 elsewhere: a pass to decode and a pass for the rest ([`Operator::fused`]), in the memory in which x is
//! decoded. That memory is free again before the norm's gradient decodes x anew. Where max pooling lies between norm and
//! rectifier, its exact indices say what to take of the norm's result.
//!
//! **What is kept.** A value is made again where everything that it follows from is kept for readers of its own, so nothing
//! is kept in its place but masks. Residual additions make long chains of that: the output of a block is
//! `relu(norm(x) + output of the block before)`, and so on to the beginning of the stage. Each block adds two passes (decode;
//! norm, add, rectify), so in a stage of n blocks keeping no output at all would cost n² of them. Outputs are
//! therefore kept as soon as a rebuild would take more than `PASSES` passes: every seventh block or so. A block has several
//! kept values of its own, so this costs few bytes, and it bounds the work by a constant for each block. Passes are counted
//! in elements visited: those over what is pooled count as often as it is larger than what comes of it. A part of a
//! concatenation is made again with each of those that it is in, so it is kept where it takes more than a norm.
//!
//! **What is in flight.** To make an addition again takes memory for both addends where decoding takes it for one value, and
//! to pool again takes memory for what is pooled. Where that would make a step's peak higher than with nothing made again,
//! because a net has few layers and its first are the widest, the widest such results are kept (`store_within`).

use crate::ir::{Graph, GraphError, Keep, Kind, Need, Node, Operator, Part, Phase, Rebuild, Value, ValueId};
use crate::step::CONTROL;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Most passes over a value's elements that making it again may take, decoding included.
const PASSES: u64 = 16;

/// Those of a decoded value, and of a norm with its rectifier: without additions and pooling.
const PASSES_OF_ONE: u64 = 2;

/// Within so many nodes of the backward pass a value that was made again is read again rather than made anew.
const NEAR: usize = 4;

/// Makes values again right before their backward readers: all that is `always` made again, and with `wide`
/// also what takes a few passes over the elements, as many as additions and pooling take if none that they read has `wide`
/// elements or more. Returns what is made again by passes.
pub(super) fn rewrite(graph: &mut Graph, wide: Option<u64>) -> Result<Vec<ValueId>, GraphError> {
    let nodes = graph.take_nodes();
    let mut this = Rebuilder::new(graph, &nodes, wide);
    let keeps = this.graph.take_keeps();
    let (again, kept): (Vec<Keep>, Vec<Keep>) = keeps
        .into_iter()
        .partition(|keep| !matches!(keep.need, Need::Within(_)) && this.rebuild_of(keep.source, keep.need).is_some());
    this.graph.set_keeps(kept);
    let of_view: HashMap<ValueId, Keep> = again.into_iter().map(|keep| (keep.view, keep)).collect();
    let mut rewritten = Vec::with_capacity(nodes.len());
    // By its view, what was made again, and for which node last.
    let mut made: HashMap<ValueId, (ValueId, usize)> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        let mut node = node.clone();
        for input in &mut node.inputs {
            if let Some(keep) = of_view.get(input) {
                let value = match made.get(input) {
                    Some((value, last)) if index - last <= NEAR => *value,
                    _ => this.make(keep.source, keep.need, &mut rewritten)?,
                };
                made.insert(*input, (value, index));
                *input = value;
            }
        }
        rewritten.push(node);
    }
    let mut rebuilt: Vec<ValueId> = of_view.values().map(|k| k.source).filter(|v| this.again.contains_key(v)).collect();
    rebuilt.sort_unstable();
    rebuilt.dedup();
    graph.set_nodes(rewritten);
    Ok(rebuilt)
}

/// Whether a value is there in the backward pass whatever is kept.
pub(super) fn is_there(value: &Value) -> bool {
    value.kind.is_persistent() || (value.kind == Kind::Input && value.name == CONTROL)
}

struct Rebuilder<'g> {
    graph: &'g mut Graph,
    /// The node that makes a value as its first output, in the forward pass.
    makers: HashMap<ValueId, &'g Node>,
    /// Elements visited to have a value in the backward pass, where that is possible.
    costs: HashMap<ValueId, u64>,
    /// What is made again by passes, instead of being kept or on the way to such a value, with the last operator of it.
    again: HashMap<ValueId, Rc<dyn Operator>>,
}

impl<'g> Rebuilder<'g> {
    fn new(graph: &'g mut Graph, nodes: &'g [Node], wide: Option<u64>) -> Self {
        let forward = || nodes.iter().filter(|node| node.phase == Phase::Forward && !node.outputs.is_empty());
        let makers = forward().map(|node| (node.outputs[0], node)).collect();
        let mut this = Self { graph, makers, costs: HashMap::new(), again: HashMap::new() };
        if let Some(wide) = wide {
            // What is asked of a value that is always made again is asked of what it is made of.
            let of_values = this.graph.keeps().iter().filter(|keep| keep.need == Need::Values);
            let mut needed: HashSet<ValueId> = of_values.map(|keep| keep.source).collect();
            let mut parts = HashSet::new();
            for node in forward().rev() {
                if needed.contains(&node.outputs[0]) && this.rebuild(node).is_some_and(|rebuild| rebuild.always) {
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
            let rebuild = self.rebuild(node);
            let always = rebuild.as_ref().is_some_and(|rebuild| rebuild.always);
            let cost = rebuild.as_ref().and_then(|rebuild| self.cost(node, rebuild));
            let elements = self.elements(value);
            let widest = node.inputs.iter().map(|&v| self.elements(v)).fold(elements, u64::max);
            let passes = if widest < wide && !parts.contains(&value) { PASSES } else { PASSES_OF_ONE };
            let cheap = cost.is_some_and(|cost| cost <= passes * elements);
            if let Some(cost) = cost.filter(|_| always || cheap) {
                self.costs.insert(value, cost);
                if let Some((operator, parts)) = rebuild.filter(|_| !always).and_then(|mut r| r.steps.pop()) {
                    let fused = self.fused(node, &operator, &parts).map(|(_, fused)| fused);
                    self.again.insert(value, fused.unwrap_or(operator));
                }
            } else if needed.contains(&value) {
                self.costs.insert(value, self.elements(value));
            }
        }
    }

    fn elements(&self, value: ValueId) -> u64 {
        self.graph.shape(value).elements() as u64
    }

    fn rebuild(&self, node: &Node) -> Option<Rebuild> {
        let inputs: Vec<&Value> = node.inputs.iter().map(|&v| self.graph.value(v)).collect();
        node.operator.rebuild(&inputs)
    }

    /// Elements visited by all steps and by what makes their inputs; `None` if one of them cannot be had.
    fn cost(&self, node: &Node, rebuild: &Rebuild) -> Option<u64> {
        let mut cost = 0;
        let mut fused = false;
        for (operator, parts) in &rebuild.steps {
            fused = !rebuild.always && self.fused(node, operator, parts).is_some();
            for part in parts {
                if let Part::Input(index) = *part
                    && !is_there(self.graph.value(node.inputs[index]))
                {
                    cost += self.costs.get(&node.inputs[index])?;
                }
            }
        }
        Some(if fused { cost } else { cost + self.elements(node.outputs[0]) })
    }

    /// The part of a step whose own last operator can do the step in the same pass, and the operator that does both.
    fn fused(&self, node: &Node, step: &Rc<dyn Operator>, parts: &[Part]) -> Option<(usize, Rc<dyn Operator>)> {
        parts.iter().enumerate().find_map(|(place, part)| match *part {
            Part::Input(index) => Some((place, self.again.get(&node.inputs[index])?.fused(&**step)?)),
            _ => None,
        })
    }

    /// How a value is made again; `None` where it is kept.
    fn rebuild_of(&self, value: ValueId, need: Need) -> Option<(&'g Node, Rebuild)> {
        let node = *self.makers.get(&value)?;
        let rebuild = self.rebuild(node)?;
        let asked = need == Need::Values && self.again.contains_key(&value);
        (rebuild.always || asked).then_some((node, rebuild))
    }

    /// Appends the nodes that make a value again and returns what they make.
    fn make(&mut self, value: ValueId, need: Need, nodes: &mut Vec<Node>) -> Result<ValueId, GraphError> {
        if is_there(self.graph.value(value)) {
            return Ok(value);
        }
        let Some((maker, rebuild)) = self.rebuild_of(value, need) else {
            // A view of its own lives no longer than its one reader.
            return Ok(self.graph.keep(value, need));
        };
        let mut so_far = None;
        for (operator, parts) in rebuild.steps {
            // The part that takes most on its way is made first: nothing waits beside it then. The one that does the step in
            // the same pass is made last.
            let last = self.fused(maker, &operator, &parts).map(|(place, _)| place);
            let mut order: Vec<usize> = (0..parts.len()).collect();
            let cost = |index: usize| match parts[index] {
                Part::Input(input) => self.costs.get(&maker.inputs[input]).copied().unwrap_or(0),
                _ => 0,
            };
            order.sort_by_key(|&index| (last == Some(index), Reverse(cost(index))));
            let mut inputs = vec![value; parts.len()];
            for index in order {
                inputs[index] = match parts[index] {
                    Part::Input(input) => self.make(maker.inputs[input], need, nodes)?,
                    Part::Output(output) => self.shared(maker.outputs[output], Need::Exact),
                    Part::Within(interval) => self.shared(value, Need::Within(interval)),
                    Part::SoFar => so_far.expect("the first step has none before it"),
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
            self.graph.value_mut(output).kind = Kind::Stored;
            nodes.push(node);
            so_far = Some(output);
        }
        Ok(so_far.expect("a rebuild has steps"))
    }

    /// What is small waits under one view for all its readers.
    fn shared(&mut self, value: ValueId, need: Need) -> ValueId {
        let known = self.graph.keeps().iter().find(|keep| keep.source == value && keep.need == need);
        known.map(|keep| keep.view).unwrap_or_else(|| self.graph.keep(value, need))
    }
}
