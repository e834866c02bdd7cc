//! Which values are made in each stretch that reads them, and do not exist in full between them.

use super::stretches::{Item, Kind, Stretches};
use crate::codec::{Slicing, Stored};
use crate::ir::{Graph, GraphError, Node, Phase, Value, ValueId};
use std::collections::{HashMap, HashSet};

/// Goes through the stretches from the last to the first and decides of each value that comes from an earlier one: it is kept in full
/// between them, or made again, whichever needs fewer bytes. Drops what nothing reads any more. Returns how many values are made again.
pub(super) fn choose(
    graph: &mut Graph,
    stretches: &mut Stretches,
    slicing: Slicing,
    stored: &mut [Stored],
) -> Result<usize, GraphError> {
    let mut makers = HashMap::new();
    for item in stretches.list.iter().flat_map(|stretch| &stretch.sliced).filter(|item| item.kind == Kind::Map) {
        makers.extend(item.node.outputs.iter().map(|&output| (output, item.clone())));
    }
    let mut kept_until: HashMap<ValueId, usize> = HashMap::new();
    let mut count = 0;
    for at in (0..stretches.list.len()).rev() {
        for input in stretches.list[at].then.iter().flat_map(|node| &node.inputs) {
            let last = kept_until.entry(stretches.root(*input)).or_default();
            *last = at.max(*last);
        }
        let items = std::mem::take(&mut stretches.list[at].sliced);
        let phase = items.first().map(|item| item.node.phase);
        let mut this = Chooser {
            graph,
            phase,
            stretches,
            makers: &makers,
            kept_until: &mut kept_until,
            slicing,
            at,
            again: HashSet::new(),
        };
        let items = this.needed(items);
        let again = std::mem::take(&mut this.again);
        count += again.len();
        let mut writer =
            Writer { graph, stretches, makers: &makers, again, made: HashMap::new(), items: Vec::new(), stored, at };
        for item in items {
            writer.push(item)?;
        }
        stretches.list[at].sliced = writer.items;
    }
    Ok(count)
}

/// Decides for one stretch.
struct Chooser<'a> {
    graph: &'a Graph,
    stretches: &'a Stretches,
    makers: &'a HashMap<ValueId, Item>,
    /// The last stretch at which each value is there.
    kept_until: &'a mut HashMap<ValueId, usize>,
    slicing: Slicing,
    at: usize,
    /// The part of the step that it belongs to.
    phase: Option<Phase>,
    /// What is made again here.
    again: HashSet<ValueId>,
}

impl Chooser<'_> {
    /// The items whose results are read, in their order.
    fn needed(&mut self, items: Vec<Item>) -> Vec<Item> {
        let mut read: HashSet<ValueId> = HashSet::new();
        let mut needed: Vec<Item> = Vec::with_capacity(items.len());
        for item in items.into_iter().rev() {
            let wanted = |output: &ValueId| {
                read.contains(output)
                    || self.stretches.in_one.contains(output)
                    || self.kept_until.get(output).is_some_and(|&last| last >= self.at)
            };
            if item.kind == Kind::Map && !item.node.outputs.iter().any(wanted) {
                continue;
            }
            for &input in &item.node.inputs {
                self.want(self.stretches.root(input), &mut read);
            }
            needed.push(item);
        }
        needed.reverse();
        needed
    }

    /// Sees to it that a value is there.
    fn want(&mut self, value: ValueId, read: &mut HashSet<ValueId>) {
        read.insert(value);
        let made = self.stretches.made_in.get(&value);
        if made == Some(&self.at) || self.again.contains(&value) {
            return;
        }
        let comes_later = made.is_some_and(|&made| made > self.at);
        let again = self.cost_again(value).filter(|&cost| comes_later || cost < self.cost_kept(value));
        match again {
            Some(_) => {
                self.again.insert(value);
                let inputs = self.makers[&value].node.inputs.clone();
                self.again.extend(self.makers[&value].node.outputs.iter().copied());
                for input in inputs {
                    self.want(self.stretches.root(input), read);
                }
            }
            None => {
                let last = self.kept_until.entry(value).or_default();
                *last = self.at.max(*last);
            }
        }
    }

    /// Bytes that wait until here if a value is kept.
    fn cost_kept(&self, value: ValueId) -> u64 {
        let there = self.kept_until.get(&value).is_some_and(|&last| last >= self.at);
        if there || self.graph.value(value).is_given() { 0 } else { self.graph.value(value).bytes() }
    }

    /// Bytes that wait until here if a value is made again; `None` if it cannot be, or would take too long.
    fn cost_again(&self, value: ValueId) -> Option<u64> {
        let maker = self.makers.get(&value)?;
        // What the forward pass keeps for the backward pass is for the policy to say.
        let of_here = Some(maker.node.phase) == self.phase;
        if !of_here || self.stretches.in_one.contains(&value) || self.stretches.packed.contains(&value) {
            return None;
        }
        let elements = self.graph.value(value).shape.elements() as u64;
        if self.graph.node_multiply_adds(&maker.node) > self.slicing.twice.saturating_mul(elements) {
            return None;
        }
        let cost = |input: ValueId| {
            let made = self.stretches.made_in.get(&input);
            if made == Some(&self.at) || self.again.contains(&input) {
                return Some(0);
            }
            let again = self.cost_again(input);
            if made.is_some_and(|&made| made > self.at) {
                again
            } else {
                Some(again.map_or(u64::MAX, |cost| cost).min(self.cost_kept(input)))
            }
        };
        let mut bytes = 0u64;
        for &input in &maker.node.inputs {
            bytes = bytes.saturating_add(cost(self.stretches.root(input))?);
        }
        Some(bytes)
    }
}

/// Writes the items of one stretch, what is made again right before its first reader.
struct Writer<'a> {
    graph: &'a mut Graph,
    stretches: &'a mut Stretches,
    makers: &'a HashMap<ValueId, Item>,
    again: HashSet<ValueId>,
    /// By the value made elsewhere, that made here.
    made: HashMap<ValueId, ValueId>,
    items: Vec<Item>,
    stored: &'a mut [Stored],
    at: usize,
}

impl Writer<'_> {
    fn push(&mut self, mut item: Item) -> Result<(), GraphError> {
        for input in &mut item.node.inputs {
            *input = self.here(*input)?;
        }
        self.items.push(item);
        Ok(())
    }

    /// A value as this stretch has it.
    fn here(&mut self, value: ValueId) -> Result<ValueId, GraphError> {
        if let Some(&of) = self.stretches.view_of.get(&value) {
            let here = self.here(of)?;
            if here == of {
                return Ok(value);
            }
            if let Some(&known) = self.made.get(&value) {
                return Ok(known);
            }
            let view = self.copy(value);
            self.stretches.view_of.insert(view, here);
            return Ok(view);
        }
        if !self.again.contains(&value) {
            return Ok(value);
        }
        if let Some(&known) = self.made.get(&value) {
            return Ok(known);
        }
        let maker = self.makers[&value].clone();
        let outputs: Vec<ValueId> = maker.node.outputs.iter().map(|&output| self.copy(output)).collect();
        for &output in &outputs {
            self.stretches.made_in.insert(output, self.at);
        }
        self.push(Item { node: Node { outputs, ..maker.node }, ..maker })?;
        Ok(self.made[&value])
    }

    fn copy(&mut self, value: ValueId) -> ValueId {
        let copy = self.graph.add_value(Value { ..self.graph.value(value).clone() });
        self.made.insert(value, copy);
        if self.stretches.packed.contains(&value) {
            self.stretches.packed.insert(copy);
        }
        for stored in self.stored.iter_mut().filter(|stored| stored.decoded.contains(&value)) {
            stored.decoded.push(copy);
        }
        copy
    }
}
