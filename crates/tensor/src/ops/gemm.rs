//! The general matrix product that convolutions and matrix products share: C = A·B, where the kernel says how an element
//! of A and B is read and where one of C goes.
//!
//! A shader that includes `parts/gemm_<core>.wgsl` has the words rows, columns, depth and chunk first in its `Params`.

use crate::ir::tiles::{Choice, Work};
use crate::ir::{Kernel, KernelContext, KernelSet, MOST_ROUNDS, Operands, Tile};

impl Tile {
    /// Workgroups for a product of so many rows and columns.
    fn workgroups(&self, rows: usize, columns: usize) -> usize {
        rows.div_ceil(self.rows) * columns.div_ceil(self.columns)
    }

    /// The tile of a core where no table names another; `cut`: whether the depth may be cut into parts.
    fn usual(core: Core, rows: usize, columns: usize, cut: bool) -> Self {
        let wanted: &[Self] = match (core, rows) {
            (Core::Naive, _) => &[NAIVE],
            (Core::Registers, _) => &[REGISTERS],
            // Few rows, as of a net's first layers, must not leave most of a tile idle: then it is wide.
            (Core::Tiles | Core::F16Tiles, ..=16) => &[WIDE, NARROW],
            (Core::Tiles | Core::F16Tiles, 17..=32) => &[LOW, SMALL],
            (Core::Tiles | Core::F16Tiles, 33..=64) => &[USUAL, SMALL],
            (Core::Tiles | Core::F16Tiles, _) => &[LARGE, USUAL, SMALL],
            (Core::F16Matrices, ..=16) => &[MATRICES_16],
            (Core::F16Matrices, 17..=32) => &[MATRICES_32],
            (Core::F16Matrices, _) => &[MATRICES_64],
        };
        // What is cut makes its workgroups along the depth, so that smaller tiles are wanted only where columns are few. The large
        // one would ask for more parts, and each part is a partial product in memory.
        let cut_fills = |tile: &Self| cut && *tile != LARGE && tile.columns <= columns.max(64);
        let fills = |tile: &&Self| tile.workgroups(rows, columns) >= WORKGROUPS / 2 || cut_fills(tile);
        *wanted.iter().find(fills).unwrap_or(&wanted[wanted.len() - 1])
    }
}

/// Workgroups that fill a GPU: about two for each core of a large one.
pub const WORKGROUPS: usize = 256;

const NAIVE: Tile = Tile::new([1, 64, 1], [1, 1]);
const REGISTERS: Tile = Tile::new([8, 64, 1], [8, 8]);
const NARROW: Tile = Tile::new([16, 64, 16], [1, 4]);
const WIDE: Tile = Tile::new([16, 256, 8], [4, 4]);
const SMALL: Tile = Tile::new([32, 32, 16], [4, 4]);
const LOW: Tile = Tile::new([32, 128, 16], [4, 4]);
const USUAL: Tile = Tile::new([64, 64, 16], [4, 4]);
const LARGE: Tile = Tile::new([128, 128, 8], [8, 8]);
// Cooperative matrices share out a tile by subgroups, not by invocations.
const MATRICES_16: Tile = Tile::new([16, 64, 32], [1, 1]);
const MATRICES_32: Tile = Tile::new([32, 64, 32], [1, 1]);
const MATRICES_64: Tile = Tile::new([64, 64, 32], [1, 1]);

/// Tiles for GPUs that are worth measuring.
pub const CANDIDATES: [Tile; 11] = [
    NARROW,
    WIDE,
    SMALL,
    LOW,
    USUAL,
    LARGE,
    Tile::new([16, 128, 16], [2, 4]),
    Tile::new([32, 64, 16], [4, 4]),
    Tile::new([64, 32, 16], [4, 4]),
    Tile::new([128, 64, 16], [8, 4]),
    Tile::new([64, 128, 16], [8, 4]),
];

/// A product: its extents, its tile, and into how many parts its depth is cut.
///
/// Parts (split-K) make work for all cores of a GPU where the product is small and deep; each writes its own partial
/// product, and a second kernel adds them in fixed order. Without parts every tile adds in the same order, that of the depth: a slice
/// of a batch may get another tile than the whole, and makes the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gemm {
    core: Core,
    tile: Tile,
    rows: usize,
    columns: usize,
    depth: usize,
    /// Parts of the depth.
    pub parts: usize,
}

impl Gemm {
    /// C has so many rows and columns, A so many columns; with the tile that was chosen for it, or the usual one.
    pub fn new(context: &KernelContext, [rows, columns, depth]: [usize; 3], chosen: Option<Tile>) -> Self {
        Self::with_core(context, |core| {
            let tile = chosen.unwrap_or_else(|| Tile::usual(core, rows, columns, false));
            Self { core, tile, rows, columns, depth, parts: 1 }
        })
    }

    /// As [`Gemm::new`], its depth cut so that at least about `workgroups` of them have work and no part is shorter than
    /// `least`.
    pub fn in_parts(
        context: &KernelContext,
        [rows, columns, depth]: [usize; 3],
        chosen: Option<Tile>,
        workgroups: usize,
        least: usize,
    ) -> Self {
        Self::with_core(context, |core| {
            let tile = chosen.unwrap_or_else(|| Tile::usual(core, rows, columns, true));
            let parts = workgroups.div_ceil(tile.workgroups(rows, columns)).min(depth / least).max(1);
            // No part may be empty: it would leave its partial product unwritten.
            let parts = depth.div_ceil(depth.div_ceil(parts).max(1)).max(1);
            Self { core, tile, rows, columns, depth, parts }
        })
    }

    /// With the core that suits the adapter, or with tiles where its loop would be longer than drivers on CPU cores run.
    fn with_core(context: &KernelContext, gemm: impl Fn(Core) -> Self) -> Self {
        let usual = gemm(Core::of(context));
        match usual.core {
            Core::Registers if usual.rounds() > MOST_ROUNDS => gemm(Core::Tiles),
            _ => usual,
        }
    }

    /// Rounds of the loop over a part of the depth.
    fn rounds(&self) -> usize {
        self.depth.div_ceil(self.parts).div_ceil(self.core.step(&self.tile)) + 1
    }

    /// A kernel for this product, its `Params` begun.
    pub fn kernel(&self, shader: &'static str, context: &KernelContext) -> Kernel {
        let kernel = Kernel::new(shader)
            .rounds(self.rounds())
            .variable("core", self.core.name())
            .variable("tile_rows", self.tile.rows)
            .variable("tile_columns", self.tile.columns)
            .variable("tile_depth", self.tile.depth)
            .variable("rows_per_invocation", self.tile.rows_per_invocation)
            .variable("columns_per_invocation", self.tile.columns_per_invocation)
            .parameters([self.rows, self.columns, self.depth, self.depth.div_ceil(self.parts)])
            .workgroups(self.tile.workgroups(self.rows, self.columns) * self.parts);
        match (self.core, context.operands) {
            (Core::F16Matrices, Operands::F16Matrices { extent, subgroup }) => {
                kernel.variable("extent", extent).variable("subgroup", subgroup)
            }
            _ => kernel,
        }
    }
}

/// The tile that the adapter's table chooses for this.
pub fn chosen(context: &KernelContext, work: &Work) -> Option<Tile> {
    match context.chosen(work) {
        Some(Choice::Tile(tile)) => Some(tile),
        _ => None,
    }
}

/// The shader part that multiplies, `parts/gemm_<name>.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Core {
    Naive,
    Registers,
    Tiles,
    F16Tiles,
    F16Matrices,
}

impl Core {
    /// Drivers that run on CPU cores multiply f16 by tiles, so that it can be checked there.
    fn of(context: &KernelContext) -> Self {
        match (context.set, context.operands) {
            (KernelSet::Naive, _) => Self::Naive,
            (_, Operands::F16Tiles) => Self::F16Tiles,
            (_, Operands::F16Matrices { .. }) => Self::F16Matrices,
            (KernelSet::Registers, Operands::F32) => Self::Registers,
            (KernelSet::Tiles, Operands::F32) => Self::Tiles,
        }
    }

    /// Of the depth, how much a round of the loop takes.
    fn step(self, tile: &Tile) -> usize {
        match self {
            Self::Naive | Self::Registers => 1,
            Self::Tiles | Self::F16Tiles | Self::F16Matrices => tile.depth,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Naive => "naive",
            Self::Registers => "registers",
            Self::Tiles => "tiles",
            Self::F16Tiles => "f16_tiles",
            Self::F16Matrices => "f16_matrices",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_candidate_is_possible() {
        for tile in CANDIDATES {
            assert_eq!(tile.check(), Ok(()), "{tile:?}");
        }
    }

    #[test]
    fn shapes_get_the_tiles_made_for_them() {
        let usual = |rows, columns, cut| Tile::usual(Core::Tiles, rows, columns, cut);
        // ResNet-20's and ResNet-50's convolutions, forward.
        assert_eq!(usual(16, 8 * 1024, false), NARROW);
        assert_eq!(usual(16, 32 * 1024, false), WIDE);
        assert_eq!(usual(32, 64 * 256, false), LOW);
        assert_eq!(usual(64, 32 * 56 * 56, false), USUAL);
        assert_eq!(usual(256, 32 * 56 * 56, false), LARGE);
        assert_eq!(usual(512, 32 * 49, false), USUAL);
        assert_eq!(usual(2048, 32 * 49, false), LARGE);
        // Gradients of their weights.
        assert_eq!(usual(16, 27, true), NARROW);
        assert_eq!(usual(32, 27, true), SMALL);
        assert_eq!(usual(64, 576, true), USUAL);
        assert_eq!(usual(256, 2304, true), USUAL);
        assert_eq!(usual(512, 4608, true), LARGE);
        // A classifier.
        assert_eq!(usual(64, 10, false), SMALL);
    }
}
