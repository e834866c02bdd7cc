//! Tables that say which tile serves which shape: what was measured on an adapter, in front of the operators' own rules.
//!
//! The rules are where the kernels are: `gemm.rs` for products in tiles, `matmul.rs` and `conv2d/direct.rs` for those from
//! registers. An operator that has a choice says so in [`Operator::tunable`](super::Operator::tunable).

use super::{KernelSet, want};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What a choice is for: an operator, what it computes, and the class of its shape. Extents that a batch may have are rounded up
/// to a power of two, so that batches of nearly one size share their choices.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Work {
    /// `matrix product` or `convolution`.
    pub operator: String,
    /// Of a convolution `forward`, `input gradient` or `weight gradient`; of a product which sides are transposed, `a·bᵀ`.
    pub direction: String,
    /// The extents, and what else matters of the shape.
    pub shape: String,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, {}", self.operator, self.direction, self.shape)
    }
}

/// The operator of [`Work`] that is a matrix product.
pub(crate) const PRODUCT: &str = "matrix product";
/// The operator of [`Work`] that is a convolution.
pub(crate) const CONVOLUTION: &str = "convolution";
/// The direction of a convolution that has a tile of its own kind.
pub(crate) const WEIGHT_GRADIENT: &str = "weight gradient";

/// How a kernel divides its work, by the families of kernels that have a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Choice {
    /// Products and convolutions on GPUs.
    Tile(Tile),
    /// Products on CPU cores.
    Registers(Registers),
    /// Convolutions and their input gradients on CPU cores.
    Pixels(Pixels),
    /// Weight gradients on CPU cores.
    Strip(Strip),
}

/// Sums in the registers of a lane of `ops/matmul/registers.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registers {
    /// Rows of C: 16 or a multiple.
    pub rows: usize,
    /// Columns of C: 4 or a multiple.
    pub columns: usize,
}

/// Outputs of a lane of `ops/conv2d/direct.wgsl`. No tile is larger than its plane, and the adjoint of strides has whole ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pixels {
    /// Columns of the plane.
    pub width: usize,
    /// Rows of the plane.
    pub height: usize,
    /// Blocks of output channels, one channel for each lane: 1 or 2.
    pub channel_blocks: usize,
}

/// What a lane of `ops/conv2d/direct_weight_gradient.wgsl` works on at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Strip {
    /// Columns of the output's planes.
    pub width: usize,
    /// Blocks of output channels, one channel for each lane: 1 or 2.
    pub out_blocks: usize,
    /// Input channels.
    pub in_channels: usize,
}

impl Choice {
    /// Whether a kernel of the family can work with it for this.
    fn check(&self, set: KernelSet, work: &Work) -> Result<(), String> {
        let within = |n: usize, most: usize| (1..=most).contains(&n);
        match (*self, set) {
            (Self::Tile(tile), KernelSet::Tiles) => tile.check(),
            (Self::Registers(Registers { rows, columns }), KernelSet::Registers) if work.operator == PRODUCT => {
                let whole = rows.is_multiple_of(16) && columns.is_multiple_of(4);
                want(whole, "it must have multiples of 16 rows and of 4 columns")?;
                want(within(rows, 64) && within(columns, 16) && rows * columns <= 256, "a lane keeps 1 to 256 sums")
            }
            (Self::Pixels(Pixels { width, height, channel_blocks }), KernelSet::Registers)
                if work.operator == CONVOLUTION && work.direction != WEIGHT_GRADIENT =>
            {
                want(within(channel_blocks, 2), "it must have 1 or 2 channel blocks")?;
                let sums = within(width, 128) && within(height, 128) && width * height * channel_blocks <= 128;
                want(sums, "a lane keeps 1 to 128 sums")
            }
            (Self::Strip(Strip { width, out_blocks, in_channels }), KernelSet::Registers)
                if work.operator == CONVOLUTION && work.direction == WEIGHT_GRADIENT =>
            {
                want(within(out_blocks, 2), "it must have 1 or 2 blocks of output channels")?;
                want(within(width, 32) && within(in_channels, 8), "it is 1 to 32 wide and has 1 to 8 input channels")?;
                want(width * out_blocks * in_channels <= 128, "more than 128 products are unrolled for each tap")
            }
            _ => Err("kernels for this on this class of adapter have tiles of another kind".into()),
        }
    }
}

/// The tile of C that a workgroup makes, and what each of its invocations makes of it.
///
/// A product of R×K by K×C loads R·C·K·(1/rows + 1/columns) numbers from memory and, within workgroups,
/// R·C·K·(1/rows per invocation + 1/columns per invocation) from workgroup memory. So large tiles and blocks compute more for
/// each load; small ones make more workgroups of a small product, and waste less at its edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tile {
    /// Rows of C.
    pub rows: usize,
    /// Columns of C.
    pub columns: usize,
    /// Steps of the depth that are in workgroup memory at once, and unrolled.
    pub depth: usize,
    /// Rows that an invocation makes.
    pub rows_per_invocation: usize,
    /// Columns that an invocation makes.
    pub columns_per_invocation: usize,
}

impl Tile {
    /// rows × columns × depth, with a block of `per` rows and columns for each invocation.
    pub const fn new([rows, columns, depth]: [usize; 3], per: [usize; 2]) -> Self {
        Self { rows, columns, depth, rows_per_invocation: per[0], columns_per_invocation: per[1] }
    }

    /// Invocations in a workgroup.
    pub fn invocations(&self) -> usize {
        (self.rows / self.rows_per_invocation) * (self.columns / self.columns_per_invocation)
    }

    /// Bytes of workgroup memory that `parts/gemm_tiles.wgsl` takes.
    pub fn workgroup_bytes(&self) -> usize {
        let width = |per: usize| per.min(4);
        let [a, b] = [width(self.rows_per_invocation), width(self.columns_per_invocation)];
        // A vector of three would be as large as one of four, but blocks are powers of two.
        4 * self.depth * (self.rows + a + self.columns + b)
    }

    /// Whether `parts/gemm_tiles.wgsl` can work with it within WebGPU's default limits.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        let Self { rows, columns, depth, rows_per_invocation: down, columns_per_invocation: across } = *self;
        let all = [rows, columns, depth, down, across];
        // Larger numbers fit no limit below, and these cannot overflow.
        want(all.iter().all(|n| n.is_power_of_two() && *n <= 1024), "its numbers must be powers of two up to 1024")?;
        let blocks = down <= 8 && across <= 8 && down <= rows && across <= columns;
        want(blocks, "an invocation has one to eight rows and columns of it")?;
        let invocations = self.invocations();
        let most = format!("it takes {invocations} invocations, and there are 256 at most");
        want(invocations <= 256, most)?;
        let vectors = (rows / down.min(4)).max(columns / across.min(4));
        let least = depth.max(vectors);
        want(invocations >= least, format!("its {invocations} invocations are fewer than the {least} that load it"))?;
        let bytes = self.workgroup_bytes();
        want(bytes <= 16_384, format!("it takes {bytes} bytes of workgroup memory, and there are 16384 at most"))?;
        want(down * across * depth <= 1024, "what is unrolled of it has more than 1024 multiply-adds")
    }
}

/// A choice that no kernel can work with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no kernel can work with the tile of {work}: {reason}")]
pub struct TileError {
    /// What it is for.
    pub work: Work,
    /// What is wrong with it.
    pub reason: String,
}

/// Choices for one family of kernels. What it does not name follows the operators' rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileTable {
    set: KernelSet,
    choices: BTreeMap<Work, Choice>,
}

impl TileTable {
    /// A table of these choices; of several for one thing the last holds.
    ///
    /// # Errors
    /// [`TileError`] for the first that is impossible.
    pub fn new(set: KernelSet, choices: impl IntoIterator<Item = (Work, Choice)>) -> Result<Self, TileError> {
        let checked = choices.into_iter().map(|(work, choice)| match choice.check(set, &work) {
            Ok(()) => Ok((work, choice)),
            Err(reason) => Err(TileError { work, reason }),
        });
        Ok(Self { set, choices: checked.collect::<Result<_, _>>()? })
    }

    /// The family of kernels that it is for.
    pub fn set(&self) -> KernelSet {
        self.set
    }

    /// The choices, in the order of what they are for.
    pub fn choices(&self) -> impl ExactSizeIterator<Item = (&Work, Choice)> {
        self.choices.iter().map(|(work, &choice)| (work, choice))
    }

    /// What it names for this, if it is for this family of kernels.
    pub fn get(&self, set: KernelSet, work: &Work) -> Option<Choice> {
        self.choices.get(work).copied().filter(|_| set == self.set)
    }
}

/// Something that can be divided in several ways.
#[derive(Clone, Debug)]
pub struct Tunable {
    /// What it is.
    pub work: Work,
    /// The ways that are worth measuring, beside that of the rule.
    pub candidates: Vec<Choice>,
}
