//! Lifetimes become buffers.
//!
//! A value lives from the node that makes it to its last reader. Values that never live together share memory: each
//! gets an offset in a page (one GPU buffer), one after the other at the tightest gap among those alive at the same time
//! (greedy by size, arXiv 2001.03288, or by lifetime). Views and values written in place share the block of what they come from.

use super::PlanOptions;
pub use crate::ir::ALIGNMENT;
use crate::ir::{Graph, KernelContext, OperatorKind, Role, ValueId};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;

/// A piece of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Which page.
    pub page: usize,
    /// Where in it, in bytes.
    pub offset: u64,
    /// Bytes, without padding.
    pub size: u64,
}

/// A stretch of memory with a lifetime. Node `i` runs at moment `i + 1`; uploads happen at moment 0.
#[derive(Clone, Debug)]
pub struct Block {
    /// Bytes, a multiple of [`ALIGNMENT`].
    pub size: u64,
    /// First moment at which it is in use.
    pub start: usize,
    /// Last moment at which it is in use.
    pub end: usize,
    /// Whether it keeps its content from step to step.
    pub persistent: bool,
}

/// Which block each value and each node's scratch has, before blocks have places.
#[derive(Clone, Debug)]
pub struct Lifetimes {
    /// All blocks.
    pub blocks: Vec<Block>,
    /// The block of each value; `None` for a value that nobody makes or reads.
    pub of_value: Vec<Option<usize>>,
    /// The blocks of each node's scratch, with their bytes.
    pub of_scratch: Vec<Vec<(usize, u64)>>,
    /// Whether each node writes over one of its inputs.
    pub in_place: Vec<bool>,
}

pub(super) fn padded(bytes: u64) -> u64 {
    bytes.max(4).next_multiple_of(ALIGNMENT)
}

/// The kernel context of a node.
pub(super) fn context<'g>(
    graph: &'g Graph,
    node: usize,
    options: &'g PlanOptions,
    in_place: bool,
) -> KernelContext<'g> {
    let node = &graph.nodes()[node];
    KernelContext {
        set: options.set,
        subgroup: options.subgroup,
        tiles: options.tiles.as_deref(),
        operands: options.operands,
        inputs: node.inputs.iter().map(|&v| graph.value(v)).collect(),
        outputs: node.outputs.iter().map(|&v| graph.value(v)).collect(),
        in_place,
    }
}

impl Lifetimes {
    /// Reads the lifetimes off the order of the nodes.
    pub fn new(graph: &Graph, options: &PlanOptions) -> Self {
        let moments = graph.nodes().len() + 1;
        let mut last_use = vec![None; graph.values().len()];
        for (index, node) in graph.nodes().iter().enumerate() {
            // A window is its whole's memory in use, whoever reads or makes it.
            let outputs = node.outputs.iter().filter(|&&output| graph.value(output).window().is_some());
            for &value in node.inputs.iter().chain(outputs) {
                last_use[graph.memory_of(value).0.index()] = Some(index + 1);
            }
        }
        let mut this = Self {
            blocks: Vec::new(),
            of_value: vec![None; graph.values().len()],
            of_scratch: vec![Vec::new(); graph.nodes().len()],
            in_place: vec![false; graph.nodes().len()],
        };
        for (id, value) in graph.ids() {
            let read = last_use[id.index()];
            if value.is_persistent() {
                this.add(id, value.bytes(), 0, moments, true);
            } else if value.role == Role::Input && read.is_some() {
                this.add(id, value.bytes(), 0, read.unwrap_or(0), false);
            }
        }
        for (index, node) in graph.nodes().iter().enumerate() {
            let now = index + 1;
            let is_view = node.operator.kind() == OperatorKind::View;
            for &window in node.inputs.iter().filter(|&&input| graph.value(input).window().is_some()) {
                this.of_value[window.index()] = this.of_value[graph.memory_of(window).0.index()];
            }
            for (place, &output) in node.outputs.iter().enumerate() {
                let value = graph.value(output);
                if value.window().is_some() {
                    let whole = graph.memory_of(output).0;
                    if this.of_value[whole.index()].is_none() {
                        let value = graph.value(whole);
                        let end = if value.is_metric() { moments } else { last_use[whole.index()].unwrap_or(now) };
                        this.add(whole, value.bytes(), now, end, false);
                    }
                    this.of_value[output.index()] = this.of_value[whole.index()];
                    continue;
                }
                let end = if value.is_metric() { moments } else { last_use[output.index()].unwrap_or(now) };
                let source = match place {
                    0 if is_view => Some(node.inputs[0]),
                    0 => node.operator.may_overwrite().and_then(|i| node.inputs.get(i).copied()),
                    _ => None,
                };
                let shared = source.and_then(|source| {
                    let block = this.of_value[source.index()]?;
                    let b = &this.blocks[block];
                    let dies = !b.persistent
                        && b.end == now
                        && graph.value(source).window().is_none()
                        && graph.value(source).bytes() == value.bytes()
                        && graph.value(source).precision == value.precision
                        && node.inputs.iter().filter(|v| this.of_value[v.index()] == Some(block)).count() == 1;
                    (is_view || dies).then_some(block)
                });
                match shared {
                    Some(block) => {
                        this.in_place[index] = !is_view;
                        this.of_value[output.index()] = Some(block);
                        this.blocks[block].end = this.blocks[block].end.max(end);
                    }
                    None => this.add(output, value.bytes(), now, end, false),
                }
            }
            let scratch = {
                let context = context(graph, index, options, this.in_place[index]);
                node.operator.scratch(&context)
            };
            for elements in scratch {
                let bytes = 4 * elements as u64;
                this.of_scratch[index].push((this.blocks.len(), bytes));
                this.blocks.push(Block { size: padded(bytes), start: now, end: now, persistent: false });
            }
        }
        this
    }

    fn add(&mut self, id: ValueId, bytes: u64, start: usize, end: usize, persistent: bool) {
        self.of_value[id.index()] = Some(self.blocks.len());
        self.blocks.push(Block { size: padded(bytes), start, end, persistent });
    }

    /// Bytes of the transient blocks that are alive at each moment.
    pub fn alive(&self) -> Vec<u64> {
        let moments = self.blocks.iter().map(|b| b.end + 1).max().unwrap_or(0);
        let mut alive = vec![0; moments];
        for block in self.blocks.iter().filter(|b| !b.persistent) {
            for bytes in &mut alive[block.start..=block.end] {
                *bytes += block.size;
            }
        }
        alive
    }
}

/// Pages and offsets of blocks, and the bytes of each page.
type Placed = (Vec<(usize, u64)>, Vec<u64>);

/// How often at most ordinary plans place anew what sticks out.
pub const ROUNDS: usize = 64;

/// How many blocks are placed anew at most: large plans have fewer rounds.
const PLACEMENTS: usize = 50_000;

/// Gives blocks places: `(page, offset)` for each, and the bytes of each page. No page exceeds `page_limit`, unless a
/// single block does.
///
/// Largest first leaves few gaps where sizes differ, longest-lived first where what is kept piles up and is taken down in
/// the opposite order, and their product stands between. The order with the fewest bytes wins. Then, again and again, what
/// sticks out is placed first: that mostly comes within a thousandth of the bytes that are in use at once.
pub fn place(blocks: &[&Block], page_limit: u64, rounds: usize) -> Placed {
    let moments = |block: &Block| (block.end - block.start + 1) as u64;
    let size: &dyn Fn(&Block) -> u64 = &|block| block.size;
    let keys = [size, &|block| moments(block), &|block| block.size.saturating_mul(moments(block))];
    let bytes = |(_, pages): &Placed| pages.iter().sum::<u64>();
    let orders = keys.into_iter().map(|key| {
        let mut order: Vec<usize> = (0..blocks.len()).collect();
        order.sort_by_key(|&i| (Reverse(key(blocks[i])), Reverse(blocks[i].size), blocks[i].start, i));
        let placed = place_in_order(blocks, &order, page_limit);
        (order, placed)
    });
    let Some((mut order, mut best)) = orders.min_by_key(|(_, placed)| bytes(placed)) else { return Default::default() };
    let least = most_at_once(blocks);
    let mut current = best.clone();
    for _ in 0..(PLACEMENTS / blocks.len().max(1)).min(rounds) {
        // A thousandth more is not worth the time.
        if bytes(&best) <= least + least / 1000 {
            break;
        }
        // What sticks out had its turn too late.
        let (places, pages) = &current;
        let sticks_out = |&&i: &&usize| places[i].1 + blocks[i].size == pages[places[i].0];
        let (first, rest): (Vec<usize>, Vec<usize>) = order.iter().partition(sticks_out);
        order = first.into_iter().chain(rest).collect();
        current = place_in_order(blocks, &order, page_limit);
        if bytes(&current) < bytes(&best) {
            best = current.clone();
        }
    }
    best
}

/// The most bytes that are in use at any moment.
fn most_at_once(blocks: &[&Block]) -> u64 {
    let mut changes: Vec<(usize, i128)> = Vec::with_capacity(2 * blocks.len());
    for block in blocks {
        changes.push((block.start, i128::from(block.size)));
        changes.push((block.end + 1, -i128::from(block.size)));
    }
    // Where one ends as another starts, the end comes first.
    changes.sort_unstable();
    let (mut now, mut most) = (0, 0);
    for (_, change) in changes {
        now += change;
        most = most.max(now);
    }
    most as u64
}

/// Bytes of a page and the moments in which a block has them.
#[derive(Clone, Copy)]
struct Taken {
    from: u64,
    to: u64,
    start: usize,
    end: usize,
}

/// What is taken of a page, by stretches of moments: most blocks live briefly, and meet few others.
struct TakenOfPage {
    /// Moments of a stretch.
    stretch: usize,
    by_stretch: Vec<Vec<Taken>>,
}

impl TakenOfPage {
    /// Stretches into which moments are divided.
    const STRETCHES: usize = 512;

    fn new(moments: usize) -> Self {
        let stretch = moments.div_ceil(Self::STRETCHES).max(1);
        Self { stretch, by_stretch: vec![Vec::new(); moments / stretch + 1] }
    }

    fn take(&mut self, taken: Taken) {
        for stretch in taken.start / self.stretch..=taken.end / self.stretch {
            self.by_stretch[stretch].push(taken);
        }
    }

    /// What is in use at any of the block's moments, by place.
    fn beside(&self, block: &Block) -> Vec<Taken> {
        let mut beside: Vec<Taken> = Vec::new();
        for stretch in block.start / self.stretch..=block.end / self.stretch {
            let together = |other: &&Taken| {
                // One that lies in several stretches counts in the first of them that the two share.
                let first = other.start.max(block.start) / self.stretch;
                other.start <= block.end && block.start <= other.end && first == stretch
            };
            beside.extend(self.by_stretch[stretch].iter().filter(together));
        }
        beside.sort_unstable_by_key(|taken| taken.from);
        beside
    }
}

/// Gives one block after the other the tightest gap that is left.
fn place_in_order(blocks: &[&Block], order: &[usize], page_limit: u64) -> Placed {
    let mut places = vec![(0, 0); blocks.len()];
    let mut pages: Vec<u64> = Vec::new();
    let moments = blocks.iter().map(|block| block.end).max().unwrap_or(0) + 1;
    let mut placed: Vec<TakenOfPage> = Vec::new();
    for &index in order {
        let block = blocks[index];
        let found = (0..pages.len()).find_map(|page| {
            let mut best: Option<(u64, u64)> = None;
            let mut cursor = 0;
            for Taken { from, to, .. } in placed[page].beside(block) {
                if from >= cursor + block.size && best.is_none_or(|(gap, _)| from - cursor < gap) {
                    best = Some((from - cursor, cursor));
                }
                cursor = cursor.max(to);
            }
            let offset = best.map_or(cursor, |(_, offset)| offset);
            (offset + block.size <= page_limit).then_some((page, offset))
        });
        let (page, offset) = found.unwrap_or((pages.len(), 0));
        if page == pages.len() {
            pages.push(0);
            placed.push(TakenOfPage::new(moments));
        }
        pages[page] = pages[page].max(offset + block.size);
        placed[page].take(Taken { from: offset, to: offset + block.size, start: block.start, end: block.end });
        places[index] = (page, offset);
    }
    (places, pages)
}
