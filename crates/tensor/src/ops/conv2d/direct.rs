//! Direct convolution from registers, for drivers that run on CPU cores: which tile serves which shape.
//!
//! Lanes lie along output channels; the values that all of them need are loaded once by all together and handed out by
//! subgroup broadcasts. Measurements: `docs/kernels-cpu.md`.

use super::{Conv2d, Direction, Extents, tiles};
use crate::ir::{Kernel, KernelContext, tiles::Choice, tiles::Pixels};
use crate::ops::launch::MOST_ITERATIONS;

/// Workgroups among which a weight gradient is divided: as many as lavapipe has threads at most. Each holds a share of the
/// gradient in memory.
const WORKGROUPS: usize = 16;

/// Sums that a lane keeps in registers and on its stack.
const MOST_SUMS: usize = 128;

/// Multiply-adds in the body of a loop: twice as many are more code than the first cache of a core holds.
const MOST_MULTIPLY_ADDS: usize = 1400;

/// Multiply-adds below which a layer with one tap and a stride, a shortcut past a block, is not worth kernels of its own: they
/// would take longer to compile than they save in a thousand steps.
const FEW: u64 = 1 << 23;

/// What a direct kernel computes of each group, in the words of a plain correlation from `input` to `output`.
struct Correlation {
    channels: usize,
    input: [usize; 2],
    filters: usize,
    output: [usize; 2],
    /// Distance in the weights from one output channel to the next, and from one input channel to the next.
    weight_steps: [usize; 2],
    stride: usize,
    padding: usize,
    dilation: usize,
    /// Whether the taps run backwards: the input gradient of a convolution with stride 1.
    flip: bool,
    /// Whether it is the adjoint: the input gradient of a convolution with a larger stride.
    transposed: bool,
}

/// Whether these kernels compute the convolution: all is equal down and across, and what they unroll stays small.
pub fn serves(direction: Direction, convolution: &Conv2d, e: &Extents) -> bool {
    let Conv2d { stride: [sy, sx], padding: [py, px], dilation: [dy, dx], .. } = *convolution;
    let reach = (e.kernel[0].max(e.kernel[1]) - 1) * dy;
    let small = e.taps() <= 49 && sy <= 4 && (dy == 1 || reach <= 8) && e.output[0] + 2 <= MOST_ITERATIONS;
    // Where taps run backwards or outputs spread, the padding becomes what the kernel has beyond it.
    let adjoint = e.kernel[0] == e.kernel[1] && py <= reach;
    sy == sx && py == px && dy == dx && small && (direction != Direction::InputGradient || adjoint)
}

/// The kernel of a direction, and the number of partial sums that it makes. Its bindings lack only what it makes.
pub fn kernel(direction: Direction, convolution: &Conv2d, e: &Extents, context: &KernelContext) -> (Kernel, usize) {
    let (stride, padding) = (convolution.stride[0], convolution.padding[0]);
    let [channels, filters] = [e.channels, e.filters].map(|all| all / e.groups);
    let dilation = convolution.dilation[0];
    let chosen = match context.chosen(&tiles::work(direction, convolution, e)) {
        Some(Choice::Pixels(chosen)) => Some(chosen),
        _ => None,
    };
    let e = &regardless_of_rows(direction, convolution, e);
    match direction {
        Direction::Forward => {
            let correlation = Correlation {
                channels,
                input: e.input,
                filters,
                output: e.output,
                weight_steps: [channels * e.taps(), e.taps()],
                stride,
                padding,
                dilation,
                flip: false,
                transposed: false,
            };
            (correlation.kernel(e, chosen, context).inputs([0, 1]), 1)
        }
        Direction::InputGradient => {
            let correlation = Correlation {
                channels: filters,
                input: e.output,
                filters: channels,
                output: e.input,
                weight_steps: [e.taps(), channels * e.taps()],
                stride,
                padding: if stride == 1 { (e.kernel[0] - 1) * dilation - padding } else { padding },
                dilation,
                flip: stride == 1,
                transposed: stride > 1,
            };
            (correlation.kernel(e, chosen, context).inputs([1, 0]), 1)
        }
        Direction::WeightGradient => weight_gradient(convolution, e, context),
    }
}

/// Where no pixel has to do with its neighbours, a plane may be cut into rows of any length: of one, or, for the weights'
/// gradient, which walks down, of whole vectors.
fn regardless_of_rows(direction: Direction, convolution: &Conv2d, e: &Extents) -> Extents {
    let pixels = e.input_pixels();
    let alone = e.taps() == 1 && convolution.stride == [1, 1] && e.input == e.output;
    let short = !e.input[1].is_multiple_of(4) && pixels.is_multiple_of(4) && pixels / 4 + 2 <= MOST_ITERATIONS;
    let plane = match direction {
        Direction::Forward | Direction::InputGradient if alone => [1, pixels],
        Direction::WeightGradient if alone && short => [pixels / 4, 4],
        _ => return *e,
    };
    Extents { input: plane, output: plane, ..*e }
}

/// With several groups the shader works on one of so many convolutions side by side.
fn grouped(kernel: Kernel, e: &Extents) -> Kernel {
    if e.groups > 1 { kernel.variable("grouped", true).parameter(e.groups) } else { kernel }
}

impl Correlation {
    /// Output pixels per lane, across and down, and blocks of output channels per lane. Each pixel adds channel after channel and tap after
    /// tap, whatever the tile, so that slices of a batch make the bits of the whole though tiles depend on multiply-adds.
    fn tile(&self, e: &Extents, lanes: usize) -> [usize; 3] {
        let (taps, [height, width]) = (e.taps(), self.output);
        let blocks = match taps {
            1 if self.transposed && e.multiply_adds() < FEW => filter_blocks_of_one_tap(self.filters, lanes).min(2),
            1 => filter_blocks_of_one_tap(self.filters, lanes),
            _ => 1,
        };
        let unit = if self.transposed { self.stride } else { 1 };
        // Of the taps of the adjoint an output pixel meets one in `unit`, down and across.
        let met = taps.div_ceil(unit * unit);
        let most = MOST_SUMS.min(MOST_MULTIPLY_ADDS / met) / blocks;
        let [tile_width, tile_height] = match met {
            _ if self.transposed && self.stride > 2 => [4 * self.stride, self.stride],
            _ if taps == 1 && self.transposed => [8, 8],
            _ if taps == 1 && height == 1 => [width.div_ceil(width.div_ceil(most)).next_multiple_of(4), 1],
            _ if taps == 1 && (width > most || width.is_multiple_of(8)) => [8, most / 8],
            // As wide as the plane: no column is loaded twice, none that is padding is loaded at all.
            _ if taps == 1 || width <= 32 => [width, height.div_ceil(height.div_ceil((most / width).max(1)))],
            1..=9 if width.is_multiple_of(16) && (self.stride == 1 || self.transposed) => [16, 8],
            10..=25 if most < 64 => [8, 4],
            // Of large kernels that is more than the body that fits the cache, but loads half as many weights for a pixel.
            _ => [8, 8],
        };
        // No more than there is: on the last, tiny planes of a deep net most of a tile would be idle.
        let least = |tile: usize, extent: usize| tile.next_multiple_of(unit).min(extent.next_multiple_of(unit));
        let (tile_width, tile_height) = (least(tile_width, width), least(tile_height, height));
        let two = taps > 1 && self.filters > lanes && 2 * tile_width * tile_height <= most;
        [tile_width, tile_height, if two { 2 } else { blocks }]
    }

    /// A chosen tile as [`Correlation::tile`] has it: in whole strides, and no larger than the plane.
    fn fitted(&self, Pixels { width, height, channel_blocks }: Pixels) -> [usize; 3] {
        let unit = if self.transposed { self.stride } else { 1 };
        let fit = |tile: usize, extent: usize| tile.next_multiple_of(unit).min(extent.next_multiple_of(unit));
        [fit(width, self.output[1]), fit(height, self.output[0]), channel_blocks]
    }

    fn kernel(&self, e: &Extents, chosen: Option<Pixels>, context: &KernelContext) -> Kernel {
        let (lanes, subgroups) = context.lanes();
        let [tile_width, tile_height, blocks] = match chosen {
            Some(chosen) => self.fitted(chosen),
            None => self.tile(e, lanes),
        };
        let span = if self.transposed { tile_width / self.stride } else { tile_width * self.stride };
        let vector = [self.input[1], self.output[1], tile_width, span].iter().all(|n| n.is_multiple_of(4));
        let tiles = [self.output[1].div_ceil(tile_width), self.output[0].div_ceil(tile_height)];
        // One tap reads nothing beyond the plane.
        let whole = |axis: usize| if tiles[1 - axis] == 1 && e.taps() > 1 { self.input[axis] } else { 0 };
        let single = e.taps() == 1;
        let depth = if single && self.channels.is_multiple_of(4) { 4usize } else { 1 };
        // The weights of a lane's output channels lie side by side, those of its input channels, or its taps.
        let adjacent = single && self.weight_steps[0] == 1 && blocks == 4 && self.filters.is_multiple_of(4);
        let along = single && self.weight_steps[1] == 1 && depth == 4;
        // Fewer taps lie in as many vectors as there are taps.
        let taps = e.taps() >= 9 && (e.filters * (e.channels / e.groups) * e.taps()).is_multiple_of(4);
        let weight_vector = adjacent || along || taps;
        let filter_blocks = self.filters.div_ceil(lanes * blocks);
        let groups = e.samples * tiles[0] * tiles[1] * e.groups * filter_blocks;
        let kernel = Kernel::new("ops/conv2d/direct")
            .variable("kernel_height", e.kernel[0])
            .variable("kernel_width", e.kernel[1])
            .variable("stride", self.stride)
            .variable("pad", self.padding)
            .variable("dilation", self.dilation)
            .variable("transposed", self.transposed)
            .variable("tile_width", tile_width)
            .variable("tile_height", tile_height)
            .variable("channel_blocks", blocks)
            .variable("even", tiles[0] * tile_width == self.output[1] && tiles[1] * tile_height == self.output[0])
            .variable("depth", depth)
            .variable("adjacent", adjacent)
            .variable("width", whole(1))
            .variable("height", whole(0))
            .variable("weight_vec", if weight_vector { 4u32 } else { 1 })
            .variable("vec", if vector { 4u32 } else { 1 })
            .variable("lanes", lanes)
            .variable("subgroups", subgroups)
            .rounds(self.channels.div_ceil(depth) + 1)
            .parameters([e.samples, self.channels, self.input[0], self.input[1]])
            .parameters([self.filters, self.output[0], self.output[1]])
            .parameters([tiles[0], tiles[1], filter_blocks])
            .parameters(self.weight_steps)
            .parameter(u32::from(self.flip))
            .parameter(groups)
            .workgroups(groups);
        grouped(kernel, e)
    }
}

/// Blocks of output channels a lane where a kernel has one tap: then all is a matrix product, and 4 of them by 32 pixels, or
/// input channels, load the least for each multiply-add.
fn filter_blocks_of_one_tap(filters: usize, lanes: usize) -> usize {
    filters.div_ceil(lanes).next_power_of_two().min(4)
}

/// The weights' gradient: its kernel without the binding of what it makes, and the number of partial sums that it makes.
fn weight_gradient(convolution: &Conv2d, e: &Extents, context: &KernelContext) -> (Kernel, usize) {
    let (stride, padding) = (convolution.stride[0], convolution.padding[0]);
    let (lanes, subgroups) = context.lanes();
    let [channels, filters] = [e.channels, e.filters].map(|all| all / e.groups);
    let (width, out_width) = (e.input[1], e.output[1]);
    let whole = width.is_multiple_of(4) && out_width.is_multiple_of(4);
    let sevens = !whole && !out_width.is_multiple_of(8) && out_width.is_multiple_of(7);
    let (tile_width, out_blocks, most_channels) = match e.taps() {
        // A matrix product: see there.
        1 => {
            let most_channels = if stride > 1 && e.multiply_adds() < FEW { 16 } else { 32 };
            (if whole { 4 } else { out_width.min(7) }, filter_blocks_of_one_tap(filters, lanes), most_channels)
        }
        2..=9 => (if sevens { 7 } else { out_width.min(8) }, 2, 8),
        taps => {
            let tile_width = if out_width <= 32 { out_width } else { 8 };
            (tile_width, 1, (MOST_MULTIPLY_ADDS / (taps * tile_width)).clamp(1, 4))
        }
    };
    let (tile_width, out_blocks, most_channels) =
        match context.chosen(&tiles::work(Direction::WeightGradient, convolution, e)) {
            Some(Choice::Strip(chosen)) => (chosen.width.min(out_width), chosen.out_blocks, chosen.in_channels),
            _ => (tile_width, out_blocks, most_channels),
        };
    let out_blocks = if filters > lanes { out_blocks } else { 1 };
    let in_channels = channels.div_ceil(channels.div_ceil(most_channels));
    let tiles = out_width.div_ceil(tile_width);
    let filter_blocks = filters.div_ceil(lanes * out_blocks);
    let channel_blocks = channels.div_ceil(in_channels);
    let blocks = e.groups * filter_blocks * channel_blocks;
    let units = e.samples * tiles;
    let units_per_split = units.div_ceil(WORKGROUPS.div_ceil(blocks).min(units));
    let units_per_split = units_per_split.min(MOST_ITERATIONS / (e.output[0] + 2));
    let splits = units.div_ceil(units_per_split);
    let groups = splits * blocks;
    let store_vector = channels.is_multiple_of(in_channels) && (in_channels * e.taps()).is_multiple_of(4);
    let kernel = Kernel::new("ops/conv2d/direct_weight_gradient")
        .variable("kernel_height", e.kernel[0])
        .variable("kernel_width", e.kernel[1])
        .variable("stride", stride)
        .variable("pad", padding)
        .variable("dilation", convolution.dilation[0])
        .variable("tile_width", tile_width)
        .variable("width", if tiles == 1 && e.taps() > 1 { width } else { 0 })
        .variable("out_blocks", out_blocks)
        .variable("in_channels", in_channels)
        .variable("vec", if whole && tile_width.is_multiple_of(4) { 4u32 } else { 1 })
        .variable("store_vec", if store_vector { 4u32 } else { 1 })
        .variable("lanes", lanes)
        .variable("subgroups", subgroups)
        .rounds(units_per_split * (e.output[0] + 2))
        .parameters([e.samples, channels, e.input[0], e.input[1]])
        .parameters([filters, e.output[0], e.output[1]])
        .parameters([tiles, filter_blocks, channel_blocks])
        .parameters([units, units_per_split, groups])
        .inputs([0, 1])
        .workgroups(groups);
    (grouped(kernel, e), splits)
}
