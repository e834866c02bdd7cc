//! The moments of a step at which most is alive, and what lives in them: where to look when a peak is too high.

use super::Plan;
use super::occupants::Occupants;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::HashMap;

/// A moment of a step and the transient bytes alive then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PeakSnapshot {
    /// The number of the node at work.
    pub node: usize,
    /// Its layer.
    pub layer: String,
    /// Its operator.
    pub operator: &'static str,
    /// Bytes alive.
    pub bytes: u64,
    /// What lives, largest first; it adds up to `bytes`.
    pub alive: Vec<Alive>,
}

/// Memory in use at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alive {
    /// The value in it, or whose scratch it is.
    pub name: String,
    /// `activation`, `gradient`, `decoded`, `recomputed`, `scratch`, `input`, or the form in which it is kept.
    pub form: &'static str,
    /// Whether it is kept from the forward to the backward pass; readers of JSON know it as `waits`.
    #[serde(rename = "waits")]
    pub kept: bool,
    /// How many pieces of the value are alive, if it exists in pieces along the batch; else 1.
    pub pieces: usize,
    /// Bytes, padding included.
    pub bytes: u64,
}

impl Plan {
    /// The moments at which most transient bytes are alive, largest first, of `count` layers one each.
    pub fn peak_snapshots(&self, count: usize) -> Vec<PeakSnapshot> {
        let alive = self.lifetimes.alive();
        let occupants = Occupants::of(self);
        let mut order: Vec<usize> = (0..self.graph.nodes().len()).collect();
        order.sort_by_key(|&node| Reverse(alive[node + 1]));
        let mut snapshots: Vec<PeakSnapshot> = Vec::new();
        for node in order {
            if snapshots.len() == count {
                break;
            }
            if !snapshots.iter().any(|other| other.layer == self.graph.nodes()[node].layer) {
                snapshots.push(self.snapshot(node, &occupants));
            }
        }
        snapshots
    }

    fn snapshot(&self, node: usize, occupants: &Occupants<'_>) -> PeakSnapshot {
        let at = &self.graph.nodes()[node];
        let now = node + 1;
        let blocks = self.lifetimes.blocks.iter().enumerate();
        let living = blocks.filter(|(_, b)| !b.persistent && (b.start..=b.end).contains(&now));
        let mut alive: Vec<Alive> = Vec::new();
        // Where in the list the pieces of a whole are counted.
        let mut wholes = HashMap::new();
        for (block, b) in living {
            let Some(value) = occupants.at(block, now) else {
                let name = at.layer.clone();
                alive.push(Alive { name, form: "scratch", kept: false, pieces: 1, bytes: b.size });
                continue;
            };
            let (form, kept) = (occupants.form(value), occupants.is_kept(value));
            if self.graph.value(value).part.is_some() {
                let place = *wholes.entry((self.graph.whole_of(value), form, kept)).or_insert(alive.len());
                if let Some(whole) = alive.get_mut(place) {
                    (whole.pieces, whole.bytes) = (whole.pieces + 1, whole.bytes + b.size);
                    continue;
                }
            }
            let name = self.graph.value(value).name.clone();
            alive.push(Alive { name, form, kept, pieces: 1, bytes: b.size });
        }
        alive.sort_by(|a, b| (Reverse(a.bytes), &a.name).cmp(&(Reverse(b.bytes), &b.name)));
        let bytes = alive.iter().map(|a| a.bytes).sum();
        PeakSnapshot { node, layer: at.layer.clone(), operator: at.operator.name(), bytes, alive }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Element, Graph, KernelSet, Part};
    use crate::{PlanOptions, Policy};

    #[test]
    fn pieces_of_one_value_are_counted_together() {
        let mut g = Graph::new();
        let x = g.input("x", [4, 64], Element::F32);
        let whole = g.within("whole", |g| g.relu(x)).unwrap();
        let pieces = [0, 1].map(|half| {
            let first = 128 * half;
            let rows = g.add_part(Part { of: x, first, offset: Some(4 * first as u64) }, [2, 64]);
            let piece = g.within("pieces", |g| g.relu(rows)).unwrap();
            let name = g.value(whole).name.clone();
            let value = g.value_mut(piece);
            (value.name, value.part) = (name, Some(Part { of: whole, first, offset: None }));
            piece
        });
        g.within("sum", |g| g.add(pieces[0], pieces[1])).unwrap();
        let plan = Plan::new(g, &Policy::raw(), PlanOptions::unlimited(KernelSet::Tiles)).unwrap();
        let second_piece = plan.graph.nodes().iter().rposition(|node| node.layer == "pieces").unwrap();
        let snapshot = plan.snapshot(second_piece, &Occupants::of(&plan));
        let alive: Vec<(&str, usize, u64)> =
            snapshot.alive.iter().map(|alive| (alive.name.as_str(), alive.pieces, alive.bytes)).collect();
        assert!(alive.contains(&("whole.relu", 2, 1024)), "{alive:?}");
    }
}
