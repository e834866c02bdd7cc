//! The place of each update in the order of a step.

use super::counted;
use crate::ir::{Graph, Node, Phase, ValueId};

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
        let made = |bucket: &Vec<ValueId>| bucket.iter().map(|id| last.written[id.index()]).max().unwrap_or(0);
        let made: Vec<usize> = buckets.iter().map(made).collect();
        for (bucket, number) in buckets.iter().zip(1..) {
            let written = made.get(number).copied().unwrap_or(nodes.len() + 1);
            bucket.iter().for_each(|id| last.written[id.index()] = written);
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

/// The place behind the last node that reads each value, and behind the last that makes or changes it; those of windows are their
/// whole's.
struct LastUses {
    /// The value in whose memory each lies.
    memory: Vec<ValueId>,
    read: Vec<usize>,
    written: Vec<usize>,
}

impl LastUses {
    fn new(graph: &Graph) -> Self {
        let memory: Vec<ValueId> = graph.ids().map(|(id, _)| graph.memory_of(id).0).collect();
        let values = memory.len();
        Self { memory, read: vec![0; values], written: vec![0; values] }
    }

    fn memory(&self, value: ValueId) -> usize {
        self.memory[value.index()].index()
    }

    /// A node whose uses of values are over at this place.
    fn note(&mut self, node: &Node, place: usize) {
        for &input in &node.inputs {
            let memory = self.memory(input);
            self.read[memory] = place.max(self.read[memory]);
        }
        for value in changed(node).chain(node.outputs.iter().copied()) {
            let memory = self.memory(value);
            self.written[memory] = place.max(self.written[memory]);
        }
    }

    /// The first place for an update: behind all that make or change what it reads, or read what it changes.
    fn before(&self, update: &Node) -> usize {
        let read = update.inputs.iter().map(|&input| self.written[self.memory(input)]);
        read.chain(changed(update).map(|value| self.read[self.memory(value)])).max().unwrap_or(0)
    }
}

/// The values that a node changes.
fn changed(node: &Node) -> impl Iterator<Item = ValueId> {
    node.operator.mutates().iter().filter_map(|&index| node.inputs.get(index).copied())
}
