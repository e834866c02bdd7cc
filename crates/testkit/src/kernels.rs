//! How a step is planned for each family of kernels.

use super::SETS;
use frugal_tensor::PlanOptions;
use frugal_tensor::ir::{KernelSet, Operands, Precision};

/// One for each family of kernels, with and without subgroups, planned fast.
pub fn all_kernels() -> Vec<PlanOptions> {
    let with = |set, subgroup| PlanOptions { subgroup, rounds: 0, ..PlanOptions::unlimited(set) };
    SETS.into_iter().flat_map(|set| [with(set, None), with(set, Some(8))]).collect()
}

/// One for each family of kernels over values in f16, then one for each way of multiplying them by matrices, planned fast.
pub fn all_f16() -> Vec<PlanOptions> {
    let matrices = |(extent, subgroup)| Operands::F16Matrices { extent, subgroup };
    let by_matrices = [(8, 8), (8, 32), (16, 32), (16, 64)].map(|kind| PlanOptions {
        operands: matrices(kind),
        rounds: 0,
        ..PlanOptions::unlimited(KernelSet::Tiles)
    });
    let by_tiles = all_kernels().into_iter().map(|options| options.in_precision(Precision::F16));
    by_tiles.chain(by_matrices).collect()
}
