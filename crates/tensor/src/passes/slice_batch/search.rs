//! Which slices: the least peak for the time that they may take, by the planner's estimates.

use super::{Sliced, slice_batch, split};
use crate::codec::{Slices, Slicing, Stored};
use crate::ir::{Graph, GraphError, KernelSet};

/// By how much longer a step may take by the planner's estimate.
struct Longer {
    /// Where slices are chosen for the user who did not ask.
    usual: f64,
    /// At the least peak.
    most: f64,
}

impl Longer {
    /// The estimate is of multiply-adds, bytes and nodes; on GPUs bytes weigh more than they cost where caches hold slices.
    fn of(set: KernelSet) -> Self {
        match set {
            KernelSet::Registers | KernelSet::Naive => Self { usual: 1.05, most: 1.28 },
            KernelSet::Tiles => Self { usual: 1.35, most: 1.6 },
        }
    }
}

/// Peaks nearer to each other than this share are equal: then the shorter time wins.
const EQUAL: f64 = 0.004;

/// Into how many slices a batch may be cut.
const COUNTS: [usize; 6] = [2, 4, 8, 16, 32, 64];
/// See [`Slicing::least_bytes`].
const LEAST_BYTES: [u64; 5] = [1 << 14, 1 << 17, 1 << 20, 1 << 22, 1 << 24];
/// Shares of the widest value's bytes, see [`Slicing::wide`].
const WIDE: [u64; 4] = [u64::MAX, 8, 4, 2];
/// See [`Slicing::twice`]: nothing; what has few taps (depthwise); the pixels' first layer and narrow products; wide products; all.
const TWICE: [u64; 6] = [0, 32, 160, 640, 2400, u64::MAX];

/// What an adapter does in a second, roughly: only ratios count here.
struct Speed {
    multiply_adds: f64,
    bytes: f64,
    /// Nodes that do nothing.
    nodes: f64,
}

impl Speed {
    fn of(set: KernelSet) -> Self {
        match set {
            KernelSet::Registers | KernelSet::Naive => Self { multiply_adds: 3.5e10, bytes: 1.1e10, nodes: 2e4 },
            KernelSet::Tiles => Self { multiply_adds: 4e12, bytes: 3e11, nodes: 1.6e5 },
        }
    }

    /// Seconds of a step.
    fn seconds(&self, graph: &Graph) -> f64 {
        let node = |node: &crate::ir::Node| {
            let values = node.inputs.iter().chain(&node.outputs);
            let bytes: u64 = values.map(|&value| graph.value(value).bytes()).sum();
            graph.node_multiply_adds(node) as f64 / self.multiply_adds + bytes as f64 / self.bytes + 1.0 / self.nodes
        };
        graph.nodes().iter().map(node).sum()
    }
}

/// A way to cut a step, and what comes of it.
struct Candidate {
    at: [usize; 4],
    sliced: Sliced,
    peak: u64,
    seconds: f64,
}

/// Cuts a step as asked for; `None` where nothing is gained.
///
/// # Errors
/// As [`slice_batch`].
pub(in crate::passes) fn search(
    graph: &Graph,
    stored: &[Stored],
    slices: Slices,
    set: KernelSet,
    peak: &dyn Fn(&Graph) -> u64,
) -> Result<Option<Sliced>, GraphError> {
    let batch = graph.batch();
    let Longer { usual, most } = Longer::of(set);
    let (longer, count) = match slices {
        Slices::Off => return Ok(None),
        Slices::Exactly(slicing) => return slice_batch(graph, stored, slicing),
        Slices::Auto => (usual, None),
        Slices::Within(_) => (most, None),
        Slices::Least => (most, None),
        Slices::Count(count) => (f64::INFINITY, Some(count)),
    };
    let counts: Vec<usize> = match count {
        Some(count) => vec![count],
        None => COUNTS.into_iter().filter(|&count| count <= batch).collect(),
    };
    let count_given = count.is_some();
    let speed = Speed::of(set);
    // In passes as those of slices, so that their bytes are counted alike.
    let whole_seconds = {
        let mut graph = graph.clone();
        let nodes = split(&mut graph)?;
        graph.set_nodes(nodes);
        speed.seconds(&graph)
    };
    let limit = whole_seconds * longer;
    let whole_peak = peak(graph);
    let made = graph.nodes().iter().flat_map(|node| &node.outputs);
    let widest = made.map(|&id| graph.value(id).bytes()).max().unwrap_or(0);
    // Fewer bytes than these are worth nothing.
    let enough = if let Slices::Within(bytes) = slices { bytes } else { 0 };
    if whole_peak <= enough {
        return Ok(None);
    }
    let mut tried: Vec<[usize; 4]> = Vec::new();
    let mut look = |at: [usize; 4], best: &mut Option<Candidate>| -> Result<(), GraphError> {
        let [count, least, twice, wide] = at;
        let Some(&count) = counts.get(count) else { return Ok(()) };
        if tried.contains(&at) {
            return Ok(());
        }
        tried.push(at);
        let slicing = Slicing {
            samples: batch.div_ceil(count),
            wide: widest / WIDE[wide],
            least_bytes: LEAST_BYTES[least],
            twice: TWICE[twice],
        };
        let Some(sliced) = slice_batch(graph, stored, slicing)? else { return Ok(()) };
        let candidate = Candidate { at, peak: peak(&sliced.graph), seconds: speed.seconds(&sliced.graph), sliced };
        let better = |best: &Candidate| match count_given {
            true => candidate.cost() < best.cost(),
            false => candidate.beats(best, limit, enough),
        };
        if best.as_ref().is_none_or(better) {
            *best = Some(candidate);
        }
        Ok(())
    };
    let mut best: Option<Candidate> = None;
    let mut at = [counts.len().saturating_sub(1).min(2), 1, 2, 1];
    for _ in 0..2 {
        let before = at;
        for (axis, many) in [(2, TWICE.len()), (3, WIDE.len()), (0, counts.len()), (1, LEAST_BYTES.len())] {
            for place in 0..many {
                let mut at = at;
                at[axis] = place;
                look(at, &mut best)?;
            }
            at = best.as_ref().map_or(at, |best| best.at);
        }
        if at == before {
            break;
        }
    }
    Ok(best.filter(|best| best.seconds <= limit && best.peak < whole_peak).map(|best| best.sliced))
}

impl Candidate {
    /// Where the number of slices is given: a byte's share of the peak weighs as much as a second's of the time.
    fn cost(&self) -> f64 {
        self.peak as f64 * self.seconds
    }

    fn beats(&self, other: &Self, limit: f64, enough: u64) -> bool {
        match (self.seconds <= limit, other.seconds <= limit) {
            (true, false) => true,
            (false, true) => false,
            (false, false) => self.seconds < other.seconds,
            (true, true) => {
                let (peak, than) = (self.peak.max(enough) as f64, other.peak.max(enough) as f64);
                match (peak - than).abs() <= EQUAL * than {
                    true => self.seconds < other.seconds,
                    false => peak < than,
                }
            }
        }
    }
}
