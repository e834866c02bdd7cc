//! The place of each update in the order of a step.

use super::counted;
use crate::ir::{Graph, Node, Phase, ValueId};
use std::collections::HashMap;
use std::ops::Range;

impl Graph {
    /// Moves each update to the place right after the last reader of what it changes and the makers of what it reads,
    /// so that gradients of parameters live as briefly as all others.
    ///
    /// The host may exchange buckets of gradients, in the order in which they are made ([`Graph::gradient_buckets`]). What needs a
    /// bucket then comes behind the nodes that make the next, so that the device has work while the host exchanges; what needs the
    /// last comes behind all others. Says what it did.
    pub fn schedule_updates(&mut self, buckets: &[Vec<ValueId>]) -> String {
        let (updates, nodes): (Vec<Node>, Vec<Node>) =
            self.take_nodes().into_iter().partition(|node| node.phase == Phase::Update);
        let mut last = LastUses::new(self);
        for (position, node) in nodes.iter().enumerate() {
            last.note(node, position + 1);
        }
        let made = |bucket: &Vec<ValueId>| bucket.iter().map(|id| last.last(&last.written, *id)).max().unwrap_or(0);
        let made: Vec<usize> = buckets.iter().map(made).collect();
        for (bucket, number) in buckets.iter().zip(1..) {
            let written = made.get(number).copied().unwrap_or(nodes.len() + 1);
            bucket.iter().for_each(|&id| last.written_before(id, written));
        }
        // The number of nodes before each update. An update follows earlier ones as it follows nodes.
        let mut placed: Vec<(usize, Node)> = Vec::with_capacity(updates.len());
        for update in updates {
            let position = last.before(&update);
            last.note(&update, position);
            placed.push((position, update));
        }
        let updates = placed.len();
        let earlier = placed.iter().filter(|(position, _)| *position < nodes.len()).count();
        placed.sort_by_key(|(position, _)| *position);
        let mut placed = placed.into_iter().peekable();
        let mut ordered = Vec::with_capacity(nodes.len() + placed.len());
        for (position, node) in nodes.into_iter().enumerate() {
            ordered.extend(
                std::iter::from_fn(|| placed.next_if(|(before, _)| *before <= position)).map(|(_, update)| update),
            );
            ordered.push(node);
        }
        ordered.extend(placed.map(|(_, update)| update));
        self.set_nodes(ordered);
        let exchanged = match buckets.len() {
            0 => String::new(),
            count => format!("; the host exchanges {} of gradients", counted(count, "bucket")),
        };
        format!("moved {earlier} of {} before the end of the step{exchanged}", counted(updates, "update"))
    }
}

/// The place behind the last node that reads each value, and behind the last that makes or changes it. Those of windows are their
/// whole's, but windows of what lives across steps have nothing to do with others beside them: blocks of rows are updated one by one.
struct LastUses {
    /// For each value that whose place its uses are noted at.
    noted_at: Vec<usize>,
    /// The places at which the uses of what lies in the same bytes are noted, where these are several.
    together: HashMap<usize, Vec<usize>>,
    read: Vec<usize>,
    written: Vec<usize>,
}

impl LastUses {
    fn new(graph: &Graph) -> Self {
        let mut noted_at: Vec<usize> = graph.ids().map(|(id, _)| graph.memory_of(id).0.index()).collect();
        let mut windows: HashMap<usize, Vec<(usize, Range<u64>)>> = HashMap::new();
        for (id, value) in graph.ids() {
            let (whole, offset) = graph.memory_of(id);
            if whole != id && graph.value(whole).is_persistent() {
                noted_at[id.index()] = id.index();
                windows.entry(whole.index()).or_default().push((id.index(), offset..offset + value.bytes()));
            }
        }
        let mut together: HashMap<usize, Vec<usize>> = HashMap::new();
        for (whole, windows) in windows {
            for (window, bytes) in &windows {
                let meets = |other: &Range<u64>| other.start < bytes.end && bytes.start < other.end;
                let of_window = windows.iter().filter(|(_, other)| meets(other)).map(|(other, _)| *other);
                together.insert(*window, of_window.chain([whole]).collect());
            }
            together.insert(whole, windows.iter().map(|(window, _)| *window).chain([whole]).collect());
        }
        let values = noted_at.len();
        Self { noted_at, together, read: vec![0; values], written: vec![0; values] }
    }

    /// A node whose uses of values are over at this place.
    fn note(&mut self, node: &Node, place: usize) {
        for &input in &node.inputs {
            let at = self.noted_at[input.index()];
            self.read[at] = place.max(self.read[at]);
        }
        for value in changed(node).chain(node.outputs.iter().copied()) {
            self.written_before(value, place);
        }
    }

    /// Notes that a value is made or changed before this place.
    fn written_before(&mut self, value: ValueId, place: usize) {
        let at = self.noted_at[value.index()];
        self.written[at] = place.max(self.written[at]);
    }

    /// The place behind all uses of a value that a table notes.
    fn last(&self, table: &[usize], value: ValueId) -> usize {
        let at = self.noted_at[value.index()];
        match self.together.get(&at) {
            Some(together) => together.iter().map(|&other| table[other]).max().unwrap_or(0),
            None => table[at],
        }
    }

    /// The first place for an update: behind all that make or change what it reads, or read what it changes.
    fn before(&self, update: &Node) -> usize {
        let read = update.inputs.iter().map(|&input| self.last(&self.written, input));
        read.chain(changed(update).map(|value| self.last(&self.read, value))).max().unwrap_or(0)
    }
}

/// The values that a node changes.
fn changed(node: &Node) -> impl Iterator<Item = ValueId> {
    node.operator.mutates().iter().filter_map(|&index| node.inputs.get(index).copied())
}
