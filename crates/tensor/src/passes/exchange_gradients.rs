//! Which gradients of parameters the host exchanges together in the middle of a step.

use crate::ir::{Graph, Phase, ValueId};

impl Graph {
    /// The gradients that updates use in at most `count` buckets of about equal bytes, in the order in which the backward pass makes
    /// them. Those that one node makes are in one bucket.
    pub fn gradient_buckets(&self, count: usize) -> Vec<Vec<ValueId>> {
        if count == 0 {
            return Vec::new();
        }
        let mut made = vec![None; self.values().len()];
        for (place, node) in self.nodes().iter().enumerate().filter(|(_, node)| node.phase != Phase::Update) {
            node.outputs.iter().for_each(|output| made[output.index()] = Some(place));
        }
        let updates = self.parameter_updates().iter();
        let mut gradients: Vec<(usize, ValueId)> =
            updates.filter_map(|update| Some((made[update.gradient.index()]?, update.gradient))).collect();
        gradients.sort_unstable();
        gradients.dedup();
        let bytes = |id: ValueId| self.value(id).bytes();
        let all: u64 = gradients.iter().map(|&(_, id)| bytes(id)).sum();
        let mut buckets: Vec<(u64, usize, Vec<ValueId>)> = Vec::new();
        let mut before = 0;
        for (place, id) in gradients {
            let share = before * count as u64 / all.max(1);
            before += bytes(id);
            match buckets.last_mut() {
                Some((last_share, last_place, bucket)) if *last_share == share || *last_place == place => {
                    *last_place = place;
                    bucket.push(id);
                }
                _ => buckets.push((share, place, vec![id])),
            }
        }
        buckets.into_iter().map(|(.., bucket)| bucket).collect()
    }
}
