//! What each node of a step is there for.

use super::Plan;
use crate::codec::Stored;
use crate::ir::{Graph, Node, Phase, Role, ValueId};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// What a node is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StepRole {
    /// From the inputs to the loss.
    Forward,
    /// From the loss to the gradients.
    Backward,
    /// Optimisers, and what else moves across steps.
    Update,
    /// Puts a kept value into its stored form, rectifiers' masks included.
    Encode,
    /// Takes a kept value out of its stored form.
    Decode,
    /// Recomputes a value that was not kept.
    Recompute,
}

impl StepRole {
    /// All of them.
    pub const ALL: [StepRole; 6] = [
        StepRole::Forward,
        StepRole::Backward,
        StepRole::Update,
        StepRole::Encode,
        StepRole::Decode,
        StepRole::Recompute,
    ];

    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            StepRole::Forward => "forward",
            StepRole::Backward => "backward",
            StepRole::Update => "update",
            StepRole::Encode => "encode",
            StepRole::Decode => "decode",
            StepRole::Recompute => "recompute",
        }
    }
}

impl Plan {
    /// What each node is there for, in the order of the nodes.
    pub fn step_roles(&self) -> Vec<StepRole> {
        self.executable.nodes.iter().map(|node| node.role).collect()
    }
}

/// What each node of a graph is there for.
pub(super) fn step_roles(graph: &Graph, stored: &[Stored]) -> Vec<StepRole> {
    let coded = stored.iter().filter(|stored| stored.kept != stored.source);
    let encoded: HashSet<_> = coded.map(|stored| stored.kept).collect();
    let decoded: HashSet<_> = stored.iter().flat_map(|stored| stored.decoded.iter().copied()).collect();
    let changed = |node: &Node| -> Vec<ValueId> {
        node.operator.mutates().iter().filter_map(|&input| node.inputs.get(input).copied()).collect()
    };
    let any =
        |values: &[ValueId], of: &HashSet<ValueId>| values.iter().any(|&value| of.contains(&graph.whole_of(value)));
    let role = |node: &Node| match node.phase {
        _ if any(&node.outputs, &encoded) || any(&changed(node), &encoded) => StepRole::Encode,
        _ if any(&node.outputs, &decoded) => StepRole::Decode,
        Phase::Backward if node.outputs.iter().any(|&v| graph.value(v).role == Role::Stored) => StepRole::Recompute,
        Phase::Forward => StepRole::Forward,
        Phase::Backward => StepRole::Backward,
        Phase::Update => StepRole::Update,
    };
    graph.nodes().iter().map(role).collect()
}
