//! Who reads what.

use super::{Node, ValueId};

/// The nodes that read each value, by their positions in a list, in order and each once.
#[derive(Debug)]
pub(crate) struct Readers {
    /// Where the readers of each value begin in `positions`, and where the last ones end.
    starts: Vec<usize>,
    positions: Vec<usize>,
}

impl Readers {
    /// Those among nodes with these positions, which ascend.
    pub fn of<'n>(nodes: impl Iterator<Item = (usize, &'n Node)>) -> Self {
        let mut reads: Vec<(ValueId, usize)> =
            nodes.flat_map(|(position, node)| node.inputs.iter().map(move |&input| (input, position))).collect();
        // Stable, so that positions still ascend.
        reads.sort_by_key(|(value, _)| *value);
        reads.dedup();
        let mut starts = Vec::new();
        for (index, (value, _)) in reads.iter().enumerate() {
            starts.resize(starts.len().max(value.index() + 1), index);
        }
        starts.push(reads.len());
        Self { starts, positions: reads.into_iter().map(|(_, position)| position).collect() }
    }

    /// The readers of a value.
    pub fn of_value(&self, value: ValueId) -> &[usize] {
        match self.starts.get(value.index()..) {
            Some(&[start, end, ..]) => &self.positions[start..end],
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Element, Graph};

    #[test]
    fn readers_are_in_order_and_each_once() {
        let mut g = Graph::new();
        let [x, y] = ["x", "y"].map(|name| g.input(name, [4], Element::F32));
        let unread = g.input("unread", [4], Element::F32);
        let twice = g.add(y, y).unwrap();
        let sum = g.add(twice, x).unwrap();
        let last = g.add(sum, y).unwrap();
        let readers = Readers::of(g.nodes().iter().enumerate());
        let of = |value| readers.of_value(value).to_vec();
        assert_eq!([x, y, unread, twice, sum, last].map(of), [vec![1], vec![0, 2], vec![], vec![1], vec![2], vec![]]);
    }
}
