//! Depthwise convolution: an output channel sees one input channel, so there is nothing to share and every value should be
//! loaded once. Invocations walk down strips of planes with the rows under the kernel in registers; GPUs get narrow and short
//! strips, many at a time, drivers that run on CPU cores wide and long ones.

use super::{Conv2d, Direction, Extents};
use crate::ir::{Kernel, KernelSet};
use crate::ops::launch::MOST_ITERATIONS;

/// Whether these kernels compute the convolution: what they unroll must stay small. The input's gradient has one filter for
/// each channel to read, and a padding within the kernel's reach.
pub fn serves(direction: Direction, convolution: &Conv2d, e: &Extents) -> bool {
    let ([sy, sx], [dy, dx]) = (convolution.stride, convolution.dilation);
    let reach = reach(convolution, e);
    let small = sy == sx && dy == dx && sy <= 4 && e.taps() <= 49 && reach.iter().all(|&reach| reach <= 8);
    let within = e.filters == e.channels && convolution.padding.iter().zip(reach).all(|(&pad, reach)| pad <= reach);
    e.groups > 1 && e.groups == e.channels && small && (direction != Direction::InputGradient || within)
}

/// From the first tap to the last, down and across.
fn reach(convolution: &Conv2d, e: &Extents) -> [usize; 2] {
    [0, 1].map(|axis| (e.kernel[axis] - 1) * convolution.dilation[axis])
}

/// The kernel of a direction, and the number of partial sums that it makes. Its bindings lack only what it makes.
pub fn kernel(direction: Direction, convolution: &Conv2d, e: &Extents, set: KernelSet) -> (Kernel, usize) {
    match direction {
        Direction::Forward => (walk(convolution, e, set, e.input, e.output, None).inputs([0, 1]), 1),
        Direction::InputGradient => {
            (walk(convolution, e, set, e.output, e.input, Some(reach(convolution, e))).inputs([1, 0]), 1)
        }
        Direction::WeightGradient => weight_gradient(convolution, e, set),
    }
}

/// Columns of a strip, and elements of a load: four where rows of both planes, the strip and what is read for it are whole
/// vectors. Planes are `read` and `made` wide.
fn strip_width(
    set: KernelSet,
    [read, made]: [usize; 2],
    taps: usize,
    stride: usize,
    transposed: bool,
) -> (usize, usize) {
    let vector = read.is_multiple_of(4) && made.is_multiple_of(4);
    // An adjoint reads a stride-th of what it makes.
    let least = match (vector, transposed) {
        (true, true) => 4 * stride,
        (true, false) => 4,
        (false, true) => stride,
        (false, false) => 1,
    };
    let wanted: usize = match set {
        KernelSet::Registers if vector && made.is_multiple_of(16) && taps <= 9 && (stride == 1 || transposed) => 16,
        KernelSet::Registers if !vector && made.is_multiple_of(7) => 7,
        KernelSet::Registers => 8,
        KernelSet::Tiles | KernelSet::Naive => 4,
    };
    // Narrow planes are a strip each.
    (wanted.min(made).next_multiple_of(least), if vector { 4 } else { 1 })
}

/// Rows of a strip: on GPUs few, elsewhere as many as leave every core something to do. No sum reaches beyond the rows under the kernel,
/// so that slices of a batch make the bits of the whole.
fn strip_rows(set: KernelSet, rows: usize, strips_side_by_side: usize, step: usize) -> usize {
    let wanted: usize = match set {
        KernelSet::Registers => rows.div_ceil(INVOCATIONS.div_ceil(strips_side_by_side)).max(8),
        KernelSet::Tiles | KernelSet::Naive => 8,
    };
    wanted.min(rows).next_multiple_of(step)
}

/// Invocations among which the work is divided: enough for the cores of a desktop processor.
const INVOCATIONS: usize = 256;

/// Workgroups that fill a GPU.
const GPU_WORKGROUPS: usize = 1024;

fn begin(shader: &'static str, convolution: &Conv2d, e: &Extents, padding: [usize; 2]) -> Kernel {
    Kernel::new(shader)
        .variable("kernel_height", e.kernel[0])
        .variable("kernel_width", e.kernel[1])
        .variable("stride", convolution.stride[0])
        .variable("dilation", convolution.dilation[0])
        .variable("pad_y", padding[0])
        .variable("pad_x", padding[1])
}

/// From planes of extents `read` to planes of extents `made`; `adjoint` is the kernel's reach if it is the input gradient.
fn walk(
    convolution: &Conv2d,
    e: &Extents,
    set: KernelSet,
    read: [usize; 2],
    made: [usize; 2],
    adjoint: Option<[usize; 2]>,
) -> Kernel {
    let stride = convolution.stride[0];
    let transposed = adjoint.is_some() && stride > 1;
    let flip = adjoint.is_some() && stride == 1;
    let padding = match adjoint {
        Some(reach) if flip => [0, 1].map(|axis| reach[axis] - convolution.padding[axis]),
        _ => convolution.padding,
    };
    let (tile_width, vec) = strip_width(set, [read[1], made[1]], e.taps(), stride, transposed);
    let tile_height = if transposed { stride } else { 1 };
    let planes = e.samples * e.filters;
    let tiles_x = made[1].div_ceil(tile_width);
    let strip_rows = strip_rows(set, made[0], planes * tiles_x, tile_height);
    let strips = made[0].div_ceil(strip_rows);
    let units = planes * strips * tiles_x;
    let workgroup: usize = if set == KernelSet::Registers { 8 } else { 64 };
    begin("ops/conv2d/depthwise", convolution, e, padding)
        .variable("transposed", transposed)
        .variable("tile_width", tile_width)
        .variable("tile_height", tile_height)
        .variable("vec", vec)
        .variable("workgroup", workgroup)
        .rounds(strip_rows.div_ceil(tile_height) + 1)
        .parameters([e.filters, e.filters / e.channels])
        .parameters(read)
        .parameters(made)
        .parameters([tiles_x, strips, strip_rows, units, usize::from(flip)])
        .invocations(units, workgroup)
}

/// The weights' gradient: its kernel without the binding of what it makes, and the number of partial sums that it makes.
fn weight_gradient(convolution: &Conv2d, e: &Extents, set: KernelSet) -> (Kernel, usize) {
    let tiles = set != KernelSet::Registers;
    let (tile_width, vec) = strip_width(set, [e.input[1], e.output[1]], e.taps(), convolution.stride[0], false);
    let tiles_x = e.output[1].div_ceil(tile_width);
    let strip_rows = if tiles { 8 } else { e.output[0] }.min(e.output[0]);
    let strips = e.output[0].div_ceil(strip_rows);
    let units = e.samples * strips * tiles_x;
    let workgroup: usize = if tiles { 64 } else { 8 };
    // A share is what one workgroup or invocation adds up: a channel of a split. On GPUs no invocation should idle.
    let (wanted, least) = if tiles { (GPU_WORKGROUPS, 2 * workgroup) } else { (INVOCATIONS, 1) };
    let splits = wanted.div_ceil(e.filters).min(units.div_ceil(least));
    let units_per_split = units.div_ceil(splits).min((MOST_ITERATIONS / (strip_rows + 2)).max(1));
    let splits = units.div_ceil(units_per_split);
    let shares = splits * e.filters;
    let units_of_one = if tiles { units_per_split.div_ceil(workgroup) } else { units_per_split };
    let kernel = begin("ops/conv2d/depthwise_weight_gradient", convolution, e, convolution.padding)
        .variable("tile_width", tile_width)
        .variable("vec", vec)
        .variable("tiles", tiles)
        .variable("workgroup", workgroup)
        .rounds(units_of_one * (strip_rows + 2) + 10)
        .parameters([e.filters, e.filters / e.channels])
        .parameters(e.input)
        .parameters(e.output)
        .parameters([tiles_x, strips, strip_rows, units, units_per_split, shares])
        .inputs([0, 1]);
    (if tiles { kernel.workgroups(shares) } else { kernel.invocations(shares, workgroup) }, splits)
}
