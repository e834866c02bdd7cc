//! Where a net is cut into segments.
//!
//! A cut before a forward node costs what crosses it: the values made before and read after it, in the form in which they
//! are kept. When the backward pass is at the segment behind a cut, what crosses later cuts is gone, and there are
//!
//! > what crosses the cuts up to this one + all that the gradient rules keep of the segment, raw + values in flight.
//!
//! The last segment is not run again, because its backward pass comes right after it; what it saves is stored as always.
//! With n equal layers the largest of these sums is least for √n segments or so, as the paper says. Layers are not equal,
//! so the planner searches: for a limit on all of these sums it finds the cuts that keep the fewest bytes, by going
//! through all pairs of neighbouring cuts (dynamic programming, n² steps for n nodes), and halves its way to the least
//! limit that can be held. If that is the one without any cut, as it may be under a codec that shrinks what is stored more
//! than a segment is shorter than the net, nothing is run again.

use super::cheap::is_there;
use crate::codec::{Origin, Policy, Site};
use crate::ir::{Graph, Need, Node, Phase, Value, ValueId};
use std::collections::HashMap;

/// Values of a segment's largest size that are in flight in its backward pass: a gradient, and what comes of it. While a
/// segment runs again there are an input and an output, beside the gradient that has arrived there.
const FLIGHT: u64 = 2;
const FLIGHT_AGAIN: u64 = 3;

/// The forward pass as a list of nodes, and what lives from which to which.
pub(super) struct Forward {
    pub nodes: Vec<Node>,
    /// The position of the node that makes a value.
    pub made_at: HashMap<ValueId, usize>,
    /// The position of the last forward node that reads a value.
    last_read: HashMap<ValueId, usize>,
    /// Positions before which the net is cut, in order.
    pub cuts: Vec<usize>,
}

impl Forward {
    pub fn new(graph: &Graph, policy: &Policy) -> Self {
        let nodes: Vec<Node> = graph.nodes().iter().filter(|node| node.phase == Phase::Forward).cloned().collect();
        let mut this = Self { nodes, made_at: HashMap::new(), last_read: HashMap::new(), cuts: Vec::new() };
        for (position, node) in this.nodes.iter().enumerate() {
            this.made_at.extend(node.outputs.iter().map(|&v| (v, position)));
            this.last_read.extend(node.inputs.iter().map(|&v| (v, position)));
        }
        this.cuts = this.choose(graph, policy);
        this
    }

    /// The segment of a node.
    pub fn segment(&self, position: usize) -> usize {
        self.cuts.partition_point(|&cut| cut <= position)
    }

    /// Whether a value is made before a cut and read after it, so that it is stored.
    pub fn crosses(&self, value: ValueId) -> bool {
        let Some(&made) = self.made_at.get(&value) else { return true };
        self.last_read.get(&value).is_some_and(|&read| self.segment(made) != self.segment(read))
    }

    /// Whether a value can be recomputed: its maker changes nothing but its outputs, or knows how.
    pub fn repeats(&self, graph: &Graph, value: ValueId) -> bool {
        let Some(&position) = self.made_at.get(&value) else { return false };
        let node = &self.nodes[position];
        let inputs: Vec<&Value> = node.inputs.iter().map(|&v| graph.value(v)).collect();
        node.operator.mutates().is_empty() || (node.outputs[0] == value && node.operator.recompute(&inputs).is_some())
    }

    fn choose(&self, graph: &Graph, policy: &Policy) -> Vec<usize> {
        let n = self.nodes.len();
        let origins = Origin::of(graph, self.made_at.keys().copied());
        let stored_bytes = |id: ValueId| kept_bytes(graph.value(id), policy, &origins[&id]);
        // What the gradient rules keep of each node, raw and as it is kept.
        let mut raw_of: HashMap<ValueId, u64> = HashMap::new();
        let mut kept_of: HashMap<ValueId, u64> = HashMap::new();
        for saved in graph.saved_tensors().iter().filter(|saved| self.made_at.contains_key(&saved.source)) {
            let bytes = graph.value(saved.source).bytes();
            let (raw, stored) = match saved.need {
                Need::Within(_) => (bytes / 32, bytes / 32),
                Need::Values => (bytes, stored_bytes(saved.source)),
                Need::Exact => (bytes, bytes),
            };
            if self.repeats(graph, saved.source) {
                let most = raw_of.entry(saved.source).or_default();
                *most = raw.max(*most);
            }
            let most = kept_of.entry(saved.source).or_default();
            *most = stored.max(*most);
        }
        let sums = |of: &HashMap<ValueId, u64>| {
            let mut sums = vec![0; n + 1];
            of.iter().for_each(|(value, bytes)| sums[self.made_at[value] + 1] += bytes);
            (0..n).for_each(|position| sums[position + 1] += sums[position]);
            sums
        };
        let (raw, stored) = (sums(&raw_of), sums(&kept_of));

        // For a cut and the one before it: what crosses the first and not the second, in its form and raw.
        let mut crossing = vec![vec![(0, 0); n + 1]; n + 1];
        let counts = |v: ValueId| !is_there(graph.value(v)) && !graph.value(v).is_metric();
        for (&value, &made) in self.made_at.iter().filter(|(v, _)| counts(**v)) {
            let bytes = (stored_bytes(value), raw_of.get(&value).copied().unwrap_or(0));
            for row in &mut crossing[made + 1..=self.last_read.get(&value).copied().unwrap_or(made).max(made)] {
                row[made].0 += bytes.0;
                row[made].1 += bytes.1;
            }
        }
        for row in &mut crossing {
            for before in (0..n).rev() {
                row[before] = (row[before].0 + row[before + 1].0, row[before].1 + row[before + 1].1);
            }
        }

        // The largest value that each node touches, for what is in flight.
        let largest: Vec<u64> = self.nodes.iter().map(|node| largest(graph, node)).collect();

        // With at most so many bytes at once, the cuts with the least crossing them.
        let search = |limit: u64| -> Option<Vec<usize>> {
            // For each position that can be a cut: the least bytes of the cuts up to it, and the cut before.
            let mut least: Vec<Option<(u64, usize)>> = vec![None; n];
            least[0] = Some((0, 0));
            for cut in 1..n {
                let mut flight = 0;
                for before in (0..cut).rev() {
                    flight = largest[before].max(flight);
                    let Some((waits_before, _)) = least[before] else { continue };
                    let (crossing, not_again) = crossing[cut][before];
                    let recomputed = raw[cut] - raw[before] - not_again;
                    let better = least[cut].is_none_or(|(bytes, _)| waits_before + crossing < bytes);
                    if better && waits_before + recomputed + FLIGHT_AGAIN * flight <= limit {
                        least[cut] = Some((waits_before + crossing, before));
                    }
                }
            }
            let mut flight = 0;
            let last = (0..n).rev().filter_map(|cut| {
                flight = largest[cut].max(flight);
                let bytes = least[cut]?.0 + stored[n] - stored[cut] + FLIGHT * flight;
                (bytes <= limit).then_some((bytes, cut))
            });
            let (_, mut cut) = last.min()?;
            let mut cuts = Vec::new();
            while cut > 0 {
                cuts.push(cut);
                cut = least[cut].map_or(0, |(_, before)| before);
            }
            cuts.reverse();
            Some(cuts)
        };
        let (mut low, mut high) = (0, stored[n] + FLIGHT * largest.iter().max().unwrap_or(&0));
        let mut best = search(high).unwrap_or_default();
        // Between neighbours there is no middle.
        while high - low > (high / 256).max(1) {
            let middle = low + (high - low) / 2;
            match search(middle) {
                Some(cuts) => (best, high) = (cuts, middle),
                None => low = middle,
            }
        }
        best
    }
}

fn largest(graph: &Graph, node: &Node) -> u64 {
    node.outputs.iter().chain(&node.inputs).map(|&v| graph.value(v).bytes()).max().unwrap_or(0)
}

/// Bytes of a value in the form that the policy chooses for it.
fn kept_bytes(value: &Value, policy: &Policy, origin: &Origin) -> u64 {
    let Some(codec) = policy.choose(value, origin, &|_| true).codec else {
        return value.bytes();
    };
    let mut graph = Graph::new();
    let source = graph.input(&value.name, value.shape.clone(), value.element);
    let attached = codec.attach(&mut graph, &Site { source, mask: None });
    let packed = attached.map_err(|error| error.to_string()).and_then(|attached| attached.encode.outputs(&[value]));
    packed.map_or(value.bytes(), |outputs| outputs.iter().map(|output| 4 * output.shape.elements() as u64).sum())
}
