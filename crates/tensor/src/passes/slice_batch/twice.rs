//! Which values are made in each stretch that reads them, and do not exist in full between them.

use super::stretches::{Item, Kind, Stretches, is_decoded};
use crate::codec::{Slicing, Stored};
use crate::ir::{Graph, GraphError, Node, Phase, Value, ValueId};
use std::collections::{HashMap, HashSet};

/// How a value is made.
struct Maker {
    item: Item,
    /// Whether that takes multiply-adds.
    multiplies: bool,
    /// Whether it is worth that.
    wide: bool,
}

/// What may be made again on the way to a value: so many values one after the other, of which one may take multiply-adds. More of those
/// would be made again in every stretch, and not only in the next.
#[derive(Clone, Copy)]
struct Chain {
    length: usize,
    multiplies: bool,
}

const CHAIN: Chain = Chain { length: 64, multiplies: true };

impl Chain {
    /// What may be made again on the way to what a maker reads; `None` if it may not be made again itself.
    fn after(self, maker: &Maker) -> Option<Self> {
        let length = self.length.checked_sub(1)?;
        match (maker.multiplies, self.multiplies) {
            (true, false) => None,
            (true, true) => Some(Self { length, multiplies: false }),
            (false, multiplies) => Some(Self { length, multiplies }),
        }
    }
}

/// Goes through the stretches from the last to the first and decides of each value that comes from an earlier one: it is kept in full
/// between them, or made again, whichever needs fewer bytes. Drops what nothing reads any more. Returns how many values are made again.
pub(super) fn choose(
    graph: &mut Graph,
    stretches: &mut Stretches,
    slicing: Slicing,
    stored: &mut [Stored],
) -> Result<usize, GraphError> {
    let mut makers: HashMap<ValueId, Maker> = HashMap::new();
    for item in stretches.list.iter().flat_map(|stretch| &stretch.sliced).filter(|item| item.kind == Kind::Map) {
        let multiply_adds = graph.node_multiply_adds(&item.node);
        for &output in &item.node.outputs {
            // What lies in one is there anyway, and packed words are smaller than what they are made of.
            if stretches.in_one.contains(&output) || stretches.packed.contains(&output) {
                continue;
            }
            let elements = graph.value(output).shape.elements() as u64;
            let wide = graph.value(output).bytes() >= slicing.wide;
            if (wide || is_decoded(graph, item)) && multiply_adds <= slicing.twice.saturating_mul(elements) {
                makers.insert(output, Maker { item: item.clone(), multiplies: multiply_adds > 0, wide });
            }
        }
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
            at,
            again: HashSet::new(),
        };
        let items = this.needed(items);
        let again = std::mem::take(&mut this.again);
        count += again.len();
        let mut writer = Writer {
            graph,
            stretches,
            makers: &makers,
            again,
            made: HashMap::new(),
            decoded: HashMap::new(),
            kept_until: &kept_until,
            items: Vec::new(),
            stored,
            at,
        };
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
    makers: &'a HashMap<ValueId, Maker>,
    /// The last stretch at which each value is there.
    kept_until: &'a mut HashMap<ValueId, usize>,
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
                self.want(self.stretches.root(input), &mut read, CHAIN);
            }
            needed.push(item);
        }
        needed.reverse();
        needed
    }

    /// Sees to it that a value is there.
    fn want(&mut self, value: ValueId, read: &mut HashSet<ValueId>, chain: Chain) {
        read.insert(value);
        let made = self.stretches.made_in.get(&value);
        if made == Some(&self.at) || self.again.contains(&value) {
            return;
        }
        let comes_later = made.is_some_and(|&made| made > self.at);
        let bound = if comes_later { u64::MAX } else { self.cost_kept(value) };
        match self.cost_again(value, bound, chain) {
            Some(_) => {
                let chain = chain.after(&self.makers[&value]).expect("its cost was told");
                self.again.insert(value);
                let inputs = self.makers[&value].item.node.inputs.clone();
                self.again.extend(self.makers[&value].item.node.outputs.iter().copied());
                for input in inputs {
                    self.want(self.stretches.root(input), read, chain);
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

    /// Bytes that wait until here if a value is made again: fewer than `bound`. `None` if it cannot be, would take too long or too many.
    fn cost_again(&self, value: ValueId, bound: u64, chain: Chain) -> Option<u64> {
        // What the forward pass keeps for the backward pass is for the policy to say.
        let maker = self.makers.get(&value).filter(|maker| Some(maker.item.node.phase) == self.phase)?;
        // What is narrow is only decoded anew where a sum is taken before the stretch that decodes it.
        if !maker.wide && bound != u64::MAX {
            return None;
        }
        let chain = chain.after(maker)?;
        let mut bytes = 0u64;
        for &input in &maker.item.node.inputs {
            let input = self.stretches.root(input);
            let made = self.stretches.made_in.get(&input);
            if made == Some(&self.at) || self.again.contains(&input) {
                continue;
            }
            let comes_later = made.is_some_and(|&made| made > self.at);
            let kept = if comes_later { u64::MAX } else { self.cost_kept(input) };
            let cost = match kept {
                0 => 0,
                _ => match self.cost_again(input, kept.min(bound - bytes), chain) {
                    Some(again) => again,
                    None if comes_later => return None,
                    None => kept,
                },
            };
            bytes = bytes.saturating_add(cost);
            if bytes >= bound {
                return None;
            }
        }
        (bytes < bound).then_some(bytes)
    }
}

/// Writes the items of one stretch, what is made again right before its first reader.
struct Writer<'a> {
    graph: &'a mut Graph,
    stretches: &'a mut Stretches,
    makers: &'a HashMap<ValueId, Maker>,
    again: HashSet<ValueId>,
    /// By the value that items read, that which is made here in its place.
    made: HashMap<ValueId, ValueId>,
    /// What decoding makes here, by what is done with what.
    decoded: HashMap<(String, Vec<ValueId>), Vec<ValueId>>,
    /// The last stretch at which each value is there.
    kept_until: &'a HashMap<ValueId, usize>,
    items: Vec<Item>,
    stored: &'a mut [Stored],
    at: usize,
}

impl Writer<'_> {
    fn push(&mut self, mut item: Item) -> Result<(), GraphError> {
        for input in &mut item.node.inputs {
            *input = self.here(*input)?;
        }
        if is_decoded(self.graph, &item) {
            let Node { operator, inputs, outputs, .. } = &item.node;
            // The name counts for what draws random numbers.
            let what = format!("{operator:?} {}", self.graph.value(outputs[0]).name);
            let known = self.decoded.entry((what, inputs.clone())).or_insert_with(|| outputs.clone());
            let only_here = |output: &ValueId| {
                let later = self.kept_until.get(output).is_some_and(|&last| last > self.at);
                !later && !self.stretches.in_one.contains(output)
            };
            if known != outputs && outputs.iter().all(only_here) {
                self.made.extend(outputs.iter().copied().zip(known.iter().copied()));
                return Ok(());
            }
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
        if let Some(&known) = self.made.get(&value) {
            return Ok(known);
        }
        if !self.again.contains(&value) {
            return Ok(value);
        }
        let maker = self.makers[&value].item.clone();
        let outputs: Vec<ValueId> = maker.node.outputs.iter().map(|&output| self.copy(output)).collect();
        for &output in &outputs {
            self.stretches.made_in.insert(output, self.at);
        }
        self.push(Item { node: Node { outputs, ..maker.node }, ..maker })?;
        // Perhaps it was there already.
        let copy = self.made[&value];
        let here = self.made.get(&copy).copied().unwrap_or(copy);
        self.made.insert(value, here);
        Ok(here)
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
