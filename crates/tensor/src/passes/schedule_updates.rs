//! The place of each update in the order of a step.

use crate::ir::{Graph, Node, Phase, ValueId};

impl Graph {
    /// Moves each update to the place right after the last reader of what it changes and the makers of what it reads,
    /// so that gradients of parameters live as briefly as all others.
    pub fn update_early(&mut self) {
        let (updates, mut nodes): (Vec<Node>, Vec<Node>) =
            self.take_nodes().into_iter().partition(|node| node.phase == Phase::Update);
        // Whether an update reads what a node makes or changes, or changes what it reads.
        let follows = |update: &Node, node: &Node| {
            let changes = |node: &Node, v: &ValueId| {
                node.operator.mutates().iter().any(|&index| node.inputs.get(index) == Some(v))
            };
            node.inputs.iter().any(|v| changes(update, v))
                || update.inputs.iter().any(|v| node.outputs.contains(v) || changes(node, v))
        };
        let mut placed: Vec<(usize, Node)> = Vec::new();
        for update in updates {
            let after_nodes = nodes.iter().rposition(|node| follows(&update, node)).map_or(0, |last| last + 1);
            let updates_before = placed.iter().filter(|(_, other)| follows(&update, other)).map(|(place, _)| *place);
            let position = updates_before.fold(after_nodes, usize::max);
            placed.push((position, update));
        }
        placed.sort_by_key(|(position, _)| *position);
        for (position, update) in placed.into_iter().rev() {
            nodes.insert(position, update);
        }
        self.set_nodes(nodes);
    }
}
