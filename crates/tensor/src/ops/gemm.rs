//! The general matrix product that convolutions and matrix products share: C = A·B, where the kernel says how an element
//! of A and B is read and where one of C goes.
//!
//! A shader that includes `parts/gemm_<core>.wgsl` has the words rows, columns, depth and chunk first in its `Params`.

use super::{Kernel, KernelContext, KernelSet, Operands};

/// Extents of a product, and into how many parts its depth is cut.
///
/// Parts (split-K) make work for all cores of a GPU where the product is small and deep; each writes its own partial
/// product, and a second kernel adds them in fixed order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gemm {
    /// Rows of A and C.
    pub rows: usize,
    /// Columns of B and C.
    pub columns: usize,
    /// Columns of A, rows of B.
    pub depth: usize,
    /// Parts of the depth.
    pub parts: usize,
}

/// Rows and columns of C per workgroup on each kernel set; one table for all.
struct Tile {
    core: &'static str,
    rows: usize,
    columns: usize,
    rows_per_invocation: usize,
}

/// The tile for a kind of adapter and a number of rows: few output channels must not leave most of a tile idle.
fn tile(context: &KernelContext, rows: usize) -> Tile {
    let core = match (context.set, context.operands) {
        (KernelSet::Naive, _) => "naive",
        (_, Operands::F16Tiles) => "f16_tiles",
        (_, Operands::F16Matrices { .. }) => "f16_matrices",
        (KernelSet::Registers, Operands::F32) => "registers",
        (KernelSet::Tiles, Operands::F32) => "tiles",
    };
    match core {
        "naive" => Tile { core, rows: 1, columns: 64, rows_per_invocation: 1 },
        "registers" => Tile { core, rows: 8, columns: 64, rows_per_invocation: 8 },
        _ => {
            let rows_per_invocation = match rows {
                0..=16 => 1,
                17..=32 => 2,
                _ => 4,
            };
            Tile { core, rows: 16 * rows_per_invocation, columns: 64, rows_per_invocation }
        }
    }
}

impl Gemm {
    /// A product whose depth is not cut.
    pub fn new(rows: usize, columns: usize, depth: usize) -> Self {
        Self { rows, columns, depth, parts: 1 }
    }

    /// Cuts the depth so that at least about `workgroups` of them have work and no part is shorter than `least`.
    pub fn in_parts(mut self, context: &KernelContext, workgroups: usize, least: usize) -> Self {
        let tile = tile(context, self.rows);
        let tiles = self.rows.div_ceil(tile.rows) * self.columns.div_ceil(tile.columns);
        let parts = workgroups.div_ceil(tiles).min(self.depth / least).max(1);
        // No part may be empty: it would leave its partial product unwritten.
        self.parts = self.depth.div_ceil(self.depth.div_ceil(parts).max(1)).max(1);
        self
    }

    /// A kernel for this product, its `Params` begun.
    pub fn kernel(&self, shader: &'static str, context: &KernelContext) -> Kernel {
        let tile = tile(context, self.rows);
        let tiles = self.rows.div_ceil(tile.rows) * self.columns.div_ceil(tile.columns) * self.parts;
        let kernel = Kernel::new(shader)
            .variable("core", tile.core)
            .variable("tile_rows", tile.rows_per_invocation)
            .parameters([self.rows, self.columns, self.depth, self.depth.div_ceil(self.parts)])
            .workgroups(tiles);
        match context.operands {
            Operands::F16Matrices { extent, subgroup } if tile.core == "f16_matrices" => {
                kernel.variable("extent", extent).variable("subgroup", subgroup)
            }
            _ => kernel,
        }
    }
}
