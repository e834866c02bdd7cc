//! What a table of tiles may choose for a convolution, and the candidates.

use super::variant::Variant;
use super::{Conv2d, Direction, Extents};
use crate::ir::{
    KernelContext, KernelSet, tiles::CONVOLUTION, tiles::Choice, tiles::Pixels, tiles::Strip, tiles::Tunable,
    tiles::WEIGHT_GRADIENT, tiles::Work,
};
use crate::ops::gemm;

/// What tiles are chosen for.
pub fn work(direction: Direction, convolution: &Conv2d, e: &Extents) -> Work {
    let direction = match direction {
        Direction::Forward => "forward",
        Direction::InputGradient => "input gradient",
        Direction::WeightGradient => WEIGHT_GRADIENT,
    };
    let pair = |[down, across]: [usize; 2]| format!("{down}x{across}");
    let samples = e.samples.next_power_of_two();
    let channels = e.channels / e.groups;
    let mut shape = format!("{samples}x{}x{} to {}x{}", e.channels, pair(e.input), e.filters, pair(e.output));
    shape += &format!(" by {channels}x{}", pair(e.kernel));
    for (name, steps) in [("stride", convolution.stride), ("dilation", convolution.dilation)] {
        if steps != [1, 1] {
            shape += &format!(", {name} {}", pair(steps));
        }
    }
    Work { operator: CONVOLUTION.to_owned(), direction: direction.to_owned(), shape }
}

/// The candidates of a direction, if its kernels have tiles.
pub fn tunable(direction: Direction, convolution: &Conv2d, e: &Extents, context: &KernelContext) -> Option<Tunable> {
    let candidates = match (Variant::of(direction, convolution, e, context.set, context.operands), context.set) {
        (Variant::Product, KernelSet::Tiles) => gemm::CANDIDATES.map(Choice::Tile).to_vec(),
        (Variant::Direct, _) if direction == Direction::WeightGradient => strips(e),
        (Variant::Direct, _) => {
            let made = if direction == Direction::Forward { e.output } else { e.input };
            pixels(made, e.taps(), if direction == Direction::Forward { e.filters } else { e.channels } / e.groups)
        }
        _ => return None,
    };
    Some(Tunable { work: work(direction, convolution, e), candidates })
}

/// Multiply-adds in the body of a loop, beyond which its code leaves the first cache of a core (`docs/kernels-cpu.md`).
const MOST_MULTIPLY_ADDS: usize = 1400;

/// Widths beside the plane's own.
const WIDTHS: [usize; 3] = [16, 8, 4];

/// Tiles of pixels: of some widths the tallest, and one half as tall.
fn pixels([height, width]: [usize; 2], taps: usize, filters: usize) -> Vec<Choice> {
    let most = 128.min(MOST_MULTIPLY_ADDS / taps);
    let own = (width <= 32).then_some(width);
    let mut candidates = Vec::new();
    for tile_width in own.into_iter().chain(WIDTHS.into_iter().filter(|&tile_width| tile_width < width)) {
        for channel_blocks in if filters > 8 { 1..=2 } else { 1..=1 } {
            let tallest = most / tile_width / channel_blocks;
            for tall in [tallest, tallest / 2].into_iter().filter(|&tall| tall > 0) {
                // As many tiles, all of nearly one height.
                let tile_height = height.div_ceil(height.div_ceil(tall));
                let choice = Choice::Pixels(Pixels { width: tile_width, height: tile_height, channel_blocks });
                if !candidates.contains(&choice) {
                    candidates.push(choice);
                }
            }
        }
    }
    candidates
}

/// Strips of the output's planes.
fn strips(e: &Extents) -> Vec<Choice> {
    let [channels, filters] = [e.channels, e.filters].map(|all| all / e.groups);
    let width = e.output[1];
    let own = (width <= 32).then_some(width);
    let mut candidates = Vec::new();
    for tile_width in own.into_iter().chain(WIDTHS.into_iter().filter(|&tile_width| tile_width < width)) {
        for out_blocks in if filters > 8 { 1..=2 } else { 1..=1 } {
            for in_channels in [8, 4, 2, 1] {
                let unrolled = tile_width * out_blocks * in_channels;
                if unrolled <= 128 && unrolled * e.taps() <= MOST_MULTIPLY_ADDS && in_channels <= channels.max(1) {
                    candidates.push(Choice::Strip(Strip { width: tile_width, out_blocks, in_channels }));
                }
            }
        }
    }
    candidates
}
