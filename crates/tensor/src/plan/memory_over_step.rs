//! Memory over a step: what is alive at each node, by what it is for.

use super::occupants::{MemoryKind, Occupants};
use super::{Executable, Plan, StoreLayout};
use crate::ir::Phase;
use serde::Serialize;
use std::ops::Range;

/// Bytes that are alive at each node of a step, by kind, and those that are there from its first node to its last.
///
/// `across_steps`, `kernel_parameters`, `host` and `placed` add up to what the run allocates. The transient bytes that are alive at
/// once are at most `placed`; what remains are gaps between blocks, or memory that another step of the run needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryOverStep {
    /// Bytes of what lives across steps: parameters, statistics, states of optimisers and controllers.
    pub across_steps: u64,
    /// Bytes of the kernels' parameters.
    pub kernel_parameters: u64,
    /// Bytes in host-visible memory: upload and read-back buffers.
    pub host: u64,
    /// Bytes in which all transient values have their places.
    pub placed: u64,
    /// Nodes of the step.
    pub nodes: usize,
    /// The first node of the backward pass.
    pub backward: usize,
    /// The node behind the last one of the backward pass; updates may come before it.
    pub update: usize,
    /// The nodes at which bytes are given: all, or of each run of neighbours the one with most ([`MemoryOverStep::thinned`]).
    pub at: Vec<usize>,
    /// Transient bytes of each kind at those nodes, padding included; the kinds are those of [`MemoryKind::ALL`], in that order.
    pub alive: Vec<KindOverStep>,
}

/// Bytes of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KindOverStep {
    /// What they are for.
    pub kind: MemoryKind,
    /// How many at each node, in the order of [`MemoryOverStep::at`].
    pub bytes: Vec<u64>,
}

impl MemoryOverStep {
    /// Bytes that are there all the time.
    pub fn constant(&self) -> u64 {
        self.across_steps + self.kernel_parameters + self.host
    }

    /// What the run allocates.
    pub fn allocated(&self) -> u64 {
        self.constant() + self.placed
    }

    /// Transient bytes alive at a place in [`MemoryOverStep::at`].
    pub fn total(&self, place: usize) -> u64 {
        self.alive.iter().map(|kind| kind.bytes[place]).sum()
    }

    /// The nodes for which a place in [`MemoryOverStep::at`] stands.
    pub fn span(&self, place: usize) -> Range<usize> {
        let edge = |place: usize| place * self.nodes / self.at.len();
        edge(place)..edge(place + 1)
    }

    /// With at most so many places: of each run of neighbouring nodes the one at which most is alive, so that no peak is lost.
    pub fn thinned(&self, most: usize) -> Self {
        let columns = self.at.len().min(most);
        let edge = |column: usize| column * self.at.len() / columns.max(1);
        let highest = |column: usize| {
            let run = edge(column)..edge(column + 1);
            run.rev().max_by_key(|&place| self.total(place)).expect("no run is empty")
        };
        let places: Vec<usize> = (0..columns).map(highest).collect();
        let picked = |of: &KindOverStep| KindOverStep { bytes: places.iter().map(|&at| of.bytes[at]).collect(), ..*of };
        Self {
            at: places.iter().map(|&place| self.at[place]).collect(),
            alive: self.alive.iter().map(picked).collect(),
            ..*self
        }
    }
}

impl Plan {
    /// Memory over this step, when `others` run over the same memory in turns.
    pub fn memory_over_step(&self, others: &[&Plan]) -> MemoryOverStep {
        let executables: Vec<&Executable> =
            std::iter::once(self).chain(others.iter().copied()).map(|plan| plan.executable.as_ref()).collect();
        let nodes = self.graph.nodes();
        let occupants = Occupants::of(self);
        let mut changes = vec![vec![0i64; nodes.len() + 3]; MemoryKind::ALL.len()];
        let mut lives = |kind: MemoryKind, bytes: u64, moments: Range<usize>| {
            let of = MemoryKind::ALL.iter().position(|other| *other == kind).expect("all kinds are listed");
            changes[of][moments.start] += bytes as i64;
            changes[of][moments.end] -= bytes as i64;
        };
        for (index, block) in self.lifetimes.blocks.iter().enumerate().filter(|(_, block)| !block.persistent) {
            let all = occupants.of_block(index);
            if all.is_empty() {
                lives(MemoryKind::Scratch, block.size, block.start..block.end + 1);
            }
            for (place, &(since, value)) in all.iter().enumerate() {
                // What has its memory by windows is in it from the first of them.
                let since = if place == 0 { block.start } else { since };
                let until = all.get(place + 1).map_or(block.end + 1, |(next, _)| *next);
                lives(occupants.kind(value), block.size, since..until);
            }
        }
        let over_nodes = |changes: &Vec<i64>| {
            let sums = changes.iter().scan(0, |sum, change| {
                *sum += change;
                Some(*sum as u64)
            });
            // Node `i` runs at moment `i + 1`.
            sums.skip(1).take(nodes.len()).collect()
        };
        let alive = MemoryKind::ALL.iter().zip(&changes);
        let position = |found: Option<usize>| found.unwrap_or(nodes.len());
        let is_backward = |node: &crate::ir::Node| node.phase == Phase::Backward;
        MemoryOverStep {
            across_steps: StoreLayout::union(&executables, self.options.max_buffer).bytes(),
            kernel_parameters: Executable::uniform_bytes(&executables),
            host: Executable::host_bytes(&executables),
            placed: Executable::transient_pages_of(&executables).iter().sum(),
            nodes: nodes.len(),
            backward: position(nodes.iter().position(is_backward)),
            update: position(nodes.iter().rposition(is_backward).map(|last| last + 1)),
            at: (0..nodes.len()).collect(),
            alive: alive.map(|(&kind, changes)| KindOverStep { kind, bytes: over_nodes(changes) }).collect(),
        }
    }
}
