//! The order of backward nodes, where it is free.

use super::counted;
use crate::ir::{Graph, Node, OperatorKind, Phase, Readers, Role, ValueId};
use std::collections::{BTreeSet, HashMap, HashSet};

impl Graph {
    /// Puts off branches of the backward pass whose result is larger than what they start from.
    ///
    /// Where two branches of a net met, for example a block and the convolution on its shortcut, two gradients of the same
    /// value are made and added. The one made first waits while the other branch is worked through. If the branch starts
    /// from a gradient of fewer bytes (its convolution has a stride), it is better that this one waits and the branch is
    /// worked through last, right before the addition. Then both also read the kept value one after the other.
    pub(crate) fn defer_branches(&mut self) -> String {
        let (mut branches, mut deferred) = (0, 0);
        let mut nodes = self.take_nodes();
        let mut backward = BackwardNodes::of(&nodes);
        let mut position = nodes.len();
        while position > 0 {
            position -= 1;
            let is_sum =
                nodes[position].phase == Phase::Backward && nodes[position].operator.kind() == OperatorKind::Add;
            let Some(branch) = is_sum.then(|| backward.branch(&nodes, position)).filter(|branch| !branch.is_empty())
            else {
                continue;
            };
            if self.starts_smaller(&nodes, &branch, nodes[position].inputs[0]) {
                // Those that stay move up; the sum itself stays where it is.
                (branches, deferred) = (branches + 1, deferred + branch.len());
                let start = branch.first().copied().unwrap_or(position);
                let (moved, stay): (Vec<_>, Vec<_>) =
                    nodes.drain(start..position).zip(start..).partition(|(_, index)| branch.contains(index));
                let order: Vec<Node> = stay.into_iter().chain(moved).map(|(node, _)| node).collect();
                nodes.splice(start..start, order);
                backward = BackwardNodes::of(&nodes);
            }
        }
        self.set_nodes(nodes);
        format!("put off {} with {}", counted(branches, "path"), counted(deferred, "node"))
    }

    /// Whether the gradients that a branch starts from take fewer bytes than the one it ends in.
    fn starts_smaller(&self, nodes: &[Node], branch: &BTreeSet<usize>, end: ValueId) -> bool {
        let made: HashSet<ValueId> = branch.iter().flat_map(|&index| nodes[index].outputs.iter().copied()).collect();
        let read = branch.iter().flat_map(|&index| nodes[index].inputs.iter().copied());
        let start: HashSet<ValueId> = read
            .filter(|v| {
                !made.contains(v) && {
                    let value = self.value(*v);
                    value.role == Role::Gradient && !value.is_metric()
                }
            })
            .collect();
        start.iter().map(|&v| self.value(v).bytes()).sum::<u64>() < self.value(end).bytes()
    }
}

/// The nodes of the backward pass, by what they make and read.
struct BackwardNodes {
    makers: HashMap<ValueId, usize>,
    readers: Readers,
    /// Those whose outputs no other reads, by their layers: gradients of weights.
    unread: HashMap<String, Vec<usize>>,
}

impl BackwardNodes {
    fn of(nodes: &[Node]) -> Self {
        let backward = || nodes.iter().enumerate().filter(|(_, node)| node.phase == Phase::Backward);
        let makers = backward().flat_map(|(index, node)| node.outputs.iter().map(move |&output| (output, index)));
        let mut this = Self { makers: makers.collect(), readers: Readers::of(backward()), unread: HashMap::new() };
        for (index, node) in backward() {
            if this.read_by(node).next().is_none() {
                this.unread.entry(node.layer.clone()).or_default().push(index);
            }
        }
        this
    }

    fn read_by(&self, node: &Node) -> impl Iterator<Item = usize> {
        node.outputs.iter().flat_map(|&output| self.readers.of_value(output)).copied()
    }

    /// The nodes that serve nothing but the first of the gradients that meet in a sum: those that lead to it, and the
    /// weight gradients of their layers.
    fn branch(&self, nodes: &[Node], sum: usize) -> BTreeSet<usize> {
        let mut branch = BTreeSet::new();
        let mut layers: HashSet<&str> = HashSet::new();
        // What may belong to it, looked at from the last to the first: readers come before what they read.
        let mut candidates: BTreeSet<usize> = self.makers.get(&nodes[sum].inputs[0]).copied().into_iter().collect();
        while let Some(index) = candidates.pop_last() {
            let node = &nodes[index];
            if !self.read_by(node).all(|reader| reader == sum || branch.contains(&reader)) {
                continue;
            }
            branch.insert(index);
            candidates.extend(node.inputs.iter().filter_map(|input| self.makers.get(input)));
            if layers.insert(&node.layer) {
                let unread = self.unread.get(&node.layer).map_or(&[][..], Vec::as_slice);
                candidates.extend(unread.iter().filter(|&&other| other < index));
            }
        }
        branch
    }
}

#[cfg(test)]
mod tests {
    use crate::ir::{Element, Graph, Init, Phase};

    /// A block of two branches, of which the second has a stride: its gradients come last, the weight's with them.
    #[test]
    fn a_branch_that_starts_small_is_put_off() {
        for (stride, wanted) in [(1, ["beside", "main"]), (2, ["main", "beside"])] {
            let mut g = Graph::new();
            let x = g.input("x", [2, 3, 8, 8], Element::F32);
            let first = g.parameter("first", [4, 3, 3, 3], Init::Constant(0.0)).unwrap();
            let x = g.conv2d(x, first, [1, 1], [1, 1]).unwrap();
            let branch = |g: &mut Graph, name: &str| {
                g.within(name, |g| {
                    let w = g.parameter("w", [4, 4, 3, 3], Init::Constant(0.0)).unwrap();
                    let y = g.conv2d(x, w, [stride, stride], [1, 1]).unwrap();
                    g.relu(y).unwrap()
                })
            };
            let (y, z) = (branch(&mut g, "main"), branch(&mut g, "beside"));
            let sum = g.add(y, z).unwrap();
            let y = g.relu(sum).unwrap();
            let y = g.global_average_pool(y).unwrap();
            let arriving = g.input("arriving", [2, 4], Element::F32);
            g.differentiate(&[(y, Some(arriving))]).unwrap();
            g.defer_branches();
            let backward =
                g.nodes().iter().filter(|n| n.phase == Phase::Backward && n.operator.name().starts_with("conv"));
            let mut layers: Vec<&str> = backward.map(|n| n.layer.as_str()).filter(|l| !l.is_empty()).collect();
            layers.dedup();
            assert_eq!(layers, wanted, "stride {stride}");
        }
    }
}
