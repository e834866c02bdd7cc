//! The moments of a step at which most is alive, and what lives in them: where to look when a peak is too high.

use super::Plan;
use crate::ir::{Phase, Role, ValueId};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A moment of a step and the transient bytes alive then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PeakSnapshot {
    /// The layer at work.
    pub layer: String,
    /// The operator at work.
    pub operator: &'static str,
    /// Bytes alive.
    pub bytes: u64,
    /// What lives, largest first; it adds up to `bytes`.
    pub alive: Vec<Alive>,
}

/// A piece of memory in use at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alive {
    /// The value in it, or whose scratch it is.
    pub name: String,
    /// `activation`, `gradient`, `decoded`, `recomputed`, `scratch`, `input`, or the form in which it is kept.
    pub form: &'static str,
    /// Whether it is kept from the forward to the backward pass; readers of JSON know it as `waits`.
    #[serde(rename = "waits")]
    pub kept: bool,
    /// Bytes, padding included.
    pub bytes: u64,
}

impl Plan {
    /// The moments at which most transient bytes are alive, largest first, of `count` layers one each.
    pub fn peak_snapshots(&self, count: usize) -> Vec<PeakSnapshot> {
        let alive = self.lifetimes.alive();
        let holders = self.holders();
        let kept_forms = self.kept_forms();
        let mut order: Vec<usize> = (0..self.graph.nodes().len()).collect();
        order.sort_by_key(|&node| Reverse(alive[node + 1]));
        let mut snapshots: Vec<PeakSnapshot> = Vec::new();
        for node in order {
            if snapshots.len() == count {
                break;
            }
            if !snapshots.iter().any(|other| other.layer == self.graph.nodes()[node].layer) {
                snapshots.push(self.snapshot(node, &holders, &kept_forms));
            }
        }
        snapshots
    }

    fn snapshot(
        &self,
        node: usize,
        holders: &[Vec<(usize, ValueId)>],
        kept_forms: &HashMap<ValueId, &'static str>,
    ) -> PeakSnapshot {
        let now = node + 1;
        let blocks = self.lifetimes.blocks.iter().enumerate();
        let living = blocks.filter(|(_, b)| !b.persistent && (b.start..=b.end).contains(&now));
        let mut alive: Vec<Alive> = living
            .map(|(block, b)| {
                // In a block that is written in place the last value made so far is the one that lives.
                let Some((_, value)) = holders[block].iter().rev().find(|(made, _)| *made <= now) else {
                    let name = self.graph.nodes()[node].layer.clone();
                    return Alive { name, form: "scratch", kept: false, bytes: b.size };
                };
                let name = self.graph.value(*value).name.clone();
                let kept = kept_forms.contains_key(value);
                let form = kept_forms.get(value).copied().unwrap_or_else(|| self.role_of(*value));
                Alive { name, form, kept, bytes: b.size }
            })
            .collect();
        alive.sort_by(|a, b| (Reverse(a.bytes), &a.name).cmp(&(Reverse(b.bytes), &b.name)));
        let at = &self.graph.nodes()[node];
        let bytes = alive.iter().map(|a| a.bytes).sum();
        PeakSnapshot { layer: at.layer.clone(), operator: at.operator.name(), bytes, alive }
    }

    /// The values of each block, with the moments at which they are made, in that order.
    fn holders(&self) -> Vec<Vec<(usize, ValueId)>> {
        let mut holders = vec![Vec::new(); self.lifetimes.blocks.len()];
        let inputs = self.graph.ids().filter(|(_, value)| value.role == Role::Input).map(|(id, _)| (0, id));
        let nodes = self.graph.nodes().iter().enumerate();
        let made = nodes.flat_map(|(index, node)| node.outputs.iter().map(move |&output| (index + 1, output)));
        for (moment, value) in inputs.chain(made) {
            if let Some(block) = self.lifetimes.of_value[value.index()] {
                holders[block].push((moment, self.graph.whole_of(value)));
            }
        }
        holders
    }

    /// The form of each value that is kept.
    fn kept_forms(&self) -> HashMap<ValueId, &'static str> {
        let forms: BTreeMap<ValueId, &'static str> =
            self.stored.iter().filter(|s| !s.is_recomputed()).map(|s| (s.kept, s.form)).collect();
        let kept: HashSet<ValueId> = self.kept_values().into_iter().collect();
        kept.into_iter().map(|value| (value, forms.get(&value).copied().unwrap_or("raw"))).collect()
    }

    /// What a value is that is not kept.
    fn role_of(&self, value: ValueId) -> &'static str {
        match self.graph.value(value).role {
            _ if self.graph.value(value).is_metric() => "metric",
            Role::Input => "input",
            Role::Gradient | Role::ParameterGradient => "gradient",
            Role::Stored => {
                let made = |node: &&crate::ir::Node| node.outputs.contains(&value);
                match self.graph.nodes().iter().find(made).map(|node| node.phase) {
                    Some(Phase::Forward) => "encoded",
                    Some(_) if self.stored.iter().any(|stored| stored.decoded.contains(&value)) => "decoded",
                    _ => "recomputed",
                }
            }
            _ => "activation",
        }
    }
}
