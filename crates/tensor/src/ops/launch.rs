//! The grids that many kernels share: over elements, planes and columns.

use crate::ir::{Kernel, KernelContext, KernelSet, MOST_ROUNDS};

/// Invocations in a workgroup of an element-wise kernel.
pub(crate) const ELEMENTWISE_WORKGROUP: usize = 64;

/// A kernel with one invocation for each four elements of the first output. Its `Params` start with the number of such
/// vectors; whether it works in place is a variable.
pub(crate) fn elementwise(shader: &'static str, context: &KernelContext) -> Kernel {
    let vectors = context.outputs[0].shape.elements().div_ceil(4);
    Kernel::new(shader)
        .variable("in_place", context.in_place)
        .parameter(vectors)
        .invocations(vectors, ELEMENTWISE_WORKGROUP)
}

/// A kernel over planes (the elements of one sample and channel), begun: its `Params` start with the planes and the
/// elements of each in units of its loads.
fn over_planes(shader: &'static str, planes: usize, size: usize, set: KernelSet) -> Kernel {
    let vector = size.is_multiple_of(4);
    Kernel::new(shader)
        .variable("tiles", set == KernelSet::Tiles)
        .variable("vector", vector)
        .parameter(planes)
        .parameter(if vector { size / 4 } else { size })
}

/// The most rounds of the loops of a kernel that is chosen for its few invocations: with some to spare for the ends of loops, no more
/// than `MOST_ROUNDS`.
pub const MOST_ITERATIONS: usize = 65_000;
const _: () = assert!(MOST_ITERATIONS < MOST_ROUNDS);

/// A kernel that reduces each plane, see `parts/sum_plane.wgsl`: one workgroup for each on GPUs and for planes
/// too large for one invocation, one invocation elsewhere.
pub(crate) fn reduce_planes(shader: &'static str, planes: usize, size: usize, set: KernelSet) -> Kernel {
    let set = if size > MOST_ITERATIONS { KernelSet::Tiles } else { set };
    let kernel = over_planes(shader, planes, size, set);
    let units = if size.is_multiple_of(4) { size / 4 } else { size };
    match set {
        KernelSet::Tiles => kernel.rounds(units.div_ceil(64) + 7).workgroups(planes),
        // Runs of 64, in each four at a time.
        _ => kernel.rounds(units.div_ceil(64) * 19 + 4).invocations(planes, 8),
    }
}

/// A kernel that adds up the rows of each column, see `parts/sum_column.wgsl`: 16 invocations for each on GPUs and where
/// there are too many rows for one, one elsewhere. Its `Params` start with rows and columns.
pub(crate) fn reduce_columns(shader: &'static str, rows: usize, columns: usize, set: KernelSet) -> Kernel {
    let tiles = set == KernelSet::Tiles || rows > MOST_ITERATIONS;
    let kernel = Kernel::new(shader).variable("tiles", tiles).parameters([rows, columns]);
    match tiles {
        true => kernel.rounds(rows.div_ceil(16) + 6).invocations(columns, 16),
        false => kernel.rounds(rows / 4 + 5).invocations(columns, 8),
    }
}

/// A kernel that maps each plane onto the first output by parameters of its channel, see `parts/map_plane.wgsl`. The number of
/// channels and the samples of a workgroup follow in `Params`.
pub(crate) fn map_planes(shader: &'static str, context: &KernelContext) -> Kernel {
    let planes = context.outputs[0].shape.planes().expect("the operator checked that there are planes");
    map_planes_of(shader, context, planes)
}

/// As [`map_planes`], over the first output as samples × channels × elements that need not be those of its shape.
pub(crate) fn map_planes_of(
    shader: &'static str,
    context: &KernelContext,
    [samples, channels, size]: [usize; 3],
) -> Kernel {
    let run = run(context.set, [samples, channels, size]);
    let units = if size.is_multiple_of(4) { size / 4 } else { size };
    // Of one plane, four at a time where an invocation is one of 8.
    let rounds = if context.set == KernelSet::Tiles { units.div_ceil(64) + 1 } else { units.div_ceil(32) + 6 };
    over_planes(shader, samples * channels, size, context.set)
        .rounds(run * rounds)
        .variable("in_place", context.in_place)
        .variable("several", run > 1)
        .parameters([channels, run])
        .workgroups(channels * samples.div_ceil(run))
}

/// Samples whose planes a workgroup of [`map_planes`] does: small planes together, as long as all cores have workgroups enough.
fn run(set: KernelSet, [samples, channels, size]: [usize; 3]) -> usize {
    let (elements, workgroups) = if set == KernelSet::Tiles { (4096, 1024) } else { (1024, 64) };
    let together = elements / size.max(1);
    let spared = samples * channels / workgroups;
    together.min(spared).clamp(1, samples.max(1))
}
