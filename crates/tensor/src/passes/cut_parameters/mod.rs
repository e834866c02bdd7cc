//! Parameters cut by rows.
//!
//! The weight of a large dense layer can be the largest value of a step, and its gradient as large again. Rows of a matrix follow one
//! another in memory, so a block of them is a [window](crate::ir::Part) that kernels bind by itself:
//!
//! - A gradient of many bytes that nothing needs as a whole is made block by block, and each block is used up by its update right
//!   away. The gradient never exists in full. The idea is that of updates fused with gradients (arXiv 2306.09782), one step further.
//! - A parameter that is larger than what a kernel may bind is read in blocks as well: of y = x·Wᵀ each block makes columns of y, and
//!   of dx = D·W each block makes a summand. So are its gradient, the states of its optimiser and its average.
//!
//! Gradients and updates are the same sums in the same order, so they keep their bits; dx adds up block by block. What lives across
//! steps keeps its name, its shape and its place, so that checkpoints know nothing of blocks.

mod family;
mod rewrite;

use super::counted;
use crate::ir::{Graph, GraphError, Node, Phase, Readers, Role, ValueId};
use family::Family;
use rewrite::Rewrite;
use std::ops::Range;

/// Bytes of a block of a gradient, at most. Smaller ones make more dispatches and the peak no lower: convolutions have gradients of
/// this size.
const BLOCK: u64 = 8 << 20;

/// What a kernel may bind, and what the host wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits<'a> {
    /// Most bytes that one binding may hold.
    pub binding: u64,
    /// The gradients that the host exchanges in the middle of the step: they are needed as a whole.
    pub exchanged: &'a [Vec<ValueId>],
}

impl Graph {
    /// Cuts by rows what has to be and what had better be. For a graph with its updates, before these have their places in the order
    /// of the step. Says what it did.
    ///
    /// # Errors
    /// None of its own: operators take blocks of what they take.
    pub(super) fn cut_parameters(&mut self, limits: Limits<'_>) -> Result<String, GraphError> {
        let nodes = self.take_nodes();
        let readers = Readers::of(nodes.iter().enumerate());
        let large: Vec<ValueId> = self
            .ids()
            .filter(|(_, value)| value.role == Role::Parameter && value.bytes() > limits.binding.min(BLOCK))
            .map(|(id, _)| id)
            .collect();
        let families: Vec<Family> =
            large.into_iter().filter_map(|parameter| Family::of(self, &nodes, &readers, parameter)).collect();
        let mut rewrite = Rewrite::new(self, &nodes);
        let (mut cut, mut gradients) = (0, 0);
        for family in families {
            let Some(cuts) = Cuts::of(rewrite.graph(), &nodes, &family, limits) else { continue };
            if rewrite.cut(&family, &cuts)? {
                cut += usize::from(cuts.products.is_some());
                gradients += usize::from(cuts.in_pieces);
            }
        }
        let nodes = rewrite.finish();
        self.set_nodes(nodes);
        self.set_phase(Phase::Update);
        let did = format!(
            "{} larger than a binding; {} made block by block",
            counted(cut, "parameter"),
            counted(gradients, "gradient")
        );
        Ok(did)
    }
}

/// Into which blocks of rows a family is cut.
struct Cuts {
    /// Those of the products that read the parameter, and of what lives across steps; `None` if these stay whole.
    products: Option<Vec<Range<usize>>>,
    /// Those of the gradient and its updates.
    gradient: Vec<Range<usize>>,
    /// Whether each block of the gradient has memory of its own, for as long as its updates need it.
    in_pieces: bool,
}

impl Cuts {
    /// The cuts of a family, unless it stays whole or cannot be cut.
    fn of(graph: &Graph, nodes: &[Node], family: &Family, limits: Limits<'_>) -> Option<Self> {
        let bytes = graph.value(family.parameter).bytes();
        let must = bytes > limits.binding;
        if must && !family.can_be_cut() {
            return None;
        }
        let in_pieces = family.gradient.is_some_and(|gradient| {
            !graph.value(gradient).is_metric()
                && !limits.exchanged.iter().flatten().any(|&exchanged| exchanged == gradient)
                && family.gradient_dies_by_rows(nodes)
        });
        let grain = family.grain(graph);
        let blocks = |most: u64| blocks(family.extents, grain, most);
        let products = if must { Some(blocks(limits.binding)?) } else { None };
        let gradient = match (&products, in_pieces) {
            (Some(products), false) => products.clone(),
            (_, true) if must || bytes > BLOCK => blocks(BLOCK.min(limits.binding))?,
            _ => return None,
        };
        Some(Self { products, gradient, in_pieces })
    }
}

/// Rows of which each block is a multiple, where the limit allows: the tiles of products are as high or less.
const ROWS: usize = 64;

/// Equal blocks of rows of a matrix in f32, each of at most so many bytes, that begin at multiples of `grain` elements, a power of two.
/// `None` if no rows are so few.
fn blocks([rows, columns]: [usize; 2], grain: usize, most: u64) -> Option<Vec<Range<usize>>> {
    // The rows after which a whole number of grains is full: extents share powers of two alone.
    let unit = grain >> columns.trailing_zeros().min(grain.trailing_zeros());
    let fit = usize::try_from(most / (4 * columns.max(1) as u64))
        .unwrap_or(usize::MAX)
        .min(rows.next_multiple_of(ROWS.max(unit)));
    let unit = if fit >= ROWS { ROWS.max(unit) } else { unit };
    let fit = fit - fit % unit;
    if fit == 0 {
        return None;
    }
    let rows_each = rows.div_ceil(rows.div_ceil(fit)).next_multiple_of(unit);
    Some((0..rows).step_by(rows_each).map(|first| first..(first + rows_each).min(rows)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_equal_and_small_enough() {
        for (extents, most) in [
            ([4096, 25088], 128 << 20),
            ([4096, 25088], BLOCK),
            ([10, 3], 1 << 10),
            ([4097, 9217], BLOCK),
            ([9, 64], 512),
        ] {
            let blocks = blocks(extents, 64, most).unwrap();
            let bytes = |rows: usize| 4 * (rows * extents[1]) as u64;
            assert_eq!((blocks[0].start, blocks[blocks.len() - 1].end), (0, extents[0]));
            for pair in blocks.windows(2) {
                assert_eq!((pair[0].end, bytes(pair[1].start) % crate::ir::ALIGNMENT), (pair[1].start, 0));
            }
            assert!(blocks.iter().all(|block| !block.is_empty() && bytes(block.len()) <= most), "{extents:?}");
        }
        assert_eq!(blocks([4096, 25088], 64, 128 << 20).unwrap().len(), 4);
        // Scales of two moments of 8-bit codes: 32 blocks of 256 elements are aligned.
        assert!(
            blocks([4097, 9216], 32 * 256, BLOCK).unwrap().iter().all(|block| block.start * 9216 % (32 * 256) == 0)
        );
        assert!(blocks([100, 300], 32 * 256, 1 << 10).is_none());
    }

    #[test]
    fn rows_larger_than_the_limit_cannot_be_cut() {
        assert_eq!(blocks([4, 1024], 64, 4095), None);
        assert_eq!(blocks([128, 3], 64, 256), None);
    }
}
