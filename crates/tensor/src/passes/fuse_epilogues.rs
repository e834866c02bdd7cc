//! Nodes that are done in one pass over the elements.

use super::counted;
use crate::ir::{Element, Graph, Node, OperatorKind, Role, Value, ValueId};
use std::collections::HashMap;

impl Graph {
    /// Joins each node with the one reader of its first output where an operator does both ([`Operator::fused`]), in the
    /// place of the reader: the value between them is neither written nor read. The arithmetic stays the same.
    ///
    /// For a graph whose stores are settled. What was decoded for the first node alone would have to wait for the second
    /// one, so such nodes stay apart.
    pub(crate) fn fuse_epilogues(&mut self) -> String {
        let before = self.nodes.len();
        let mut nodes: Vec<Option<Node>> = self.take_nodes().into_iter().map(Some).collect();
        let mut readers: HashMap<ValueId, Vec<usize>> = HashMap::new();
        for (index, node) in nodes.iter().enumerate() {
            for &input in node.iter().flat_map(|node| &node.inputs) {
                readers.entry(input).or_default().push(index);
            }
        }
        for first in 0..nodes.len() {
            let Some(node) = &nodes[first] else { continue };
            let Some(&between) = node.outputs.first() else { continue };
            let &[second] = readers.get(&between).map_or(&[][..], Vec::as_slice) else { continue };
            let Some(next) = &nodes[second] else { continue };
            let Some(operator) = node.operator.fused(&*next.operator) else { continue };
            let first_or_sum = next.inputs[0] == between || next.operator.kind() == OperatorKind::Add;
            let changes =
                |between: &Node| between.operator.mutates().iter().any(|&i| node.inputs.contains(&between.inputs[i]));
            let decoded = |&input: &ValueId| {
                let value = self.value(input);
                value.role == Role::Stored && value.element == Element::F32
            };
            let rest = next.inputs.iter().copied().filter(|&input| input != between);
            let inputs: Vec<ValueId> = node.inputs.iter().copied().chain(rest).collect();
            let values: Vec<&Value> = inputs.iter().map(|&input| self.value(input)).collect();
            let fits = node.phase == next.phase
                && first_or_sum
                && !self.value(between).is_metric()
                && matches!(self.value(between).role, Role::Activation | Role::Gradient | Role::Stored)
                && !node.inputs[1..].iter().any(decoded)
                && !nodes[first + 1..second].iter().flatten().any(changes)
                && operator.outputs(&values).is_ok();
            if !fits {
                continue;
            }
            let both = Node {
                operator,
                layer: node.layer.clone(),
                phase: node.phase,
                inputs,
                outputs: next.outputs.iter().chain(&node.outputs[1..]).copied().collect(),
            };
            for input in &node.inputs {
                let readers = readers.get_mut(input).expect("the first node reads it");
                readers.iter_mut().filter(|reader| **reader == first).for_each(|reader| *reader = second);
            }
            nodes[second] = Some(both);
            nodes[first] = None;
        }
        self.set_nodes(nodes.into_iter().flatten().collect());
        format!("joined {} with the one before", counted(before - self.nodes.len(), "node"))
    }
}
