//! What the adapter can do at all, measured on the spot: the best of some samples, for other work on a machine only slows.

use super::operators::{Sampling, time};
use crate::Error;
use frugal_report::records::{Copied, Rate, Roofline, Spread};
use frugal_tensor::Gpu;
use frugal_tensor::ir::{Graph, GraphError, Init, KernelSet, Operator, Role, ValueId};
use frugal_tensor::ops::matmul::MatMul;
use frugal_tensor::ops::roofline::{Copy, MultiplyAdds};
use std::rc::Rc;

/// Elements of the values that are copied, from what one dispatch costs to what leaves every cache.
const COPIED: [usize; 4] = [1 << 14, 1 << 18, 1 << 21, 1 << 24];
/// Extents of the products that are tried.
const PRODUCTS: [usize; 2] = [512, 1024];

/// Measures what the adapter can do at all: a few seconds.
///
/// # Errors
/// A failure of the device, or [`Error::Plan`] if it can bind next to nothing.
pub fn measure(gpu: &Rc<Gpu>, sampling: Sampling) -> Result<Roofline, Error> {
    let limit = gpu.plan_options().max_binding;
    let mut copies = Vec::new();
    for elements in COPIED.into_iter().filter(|&elements| 4 * elements as u64 <= limit) {
        let spread = time(gpu, sampling, |graph| graph_of(graph, Copy, &[&[elements]]))?;
        copies.push(Copied { bytes: 8 * elements as u64, milliseconds: spread.times(1e3) });
    }
    // Enough for a GPU; a processor's cores would take seconds for it.
    let elements = match gpu.adapter().kernel_set() {
        KernelSet::Tiles => 1 << 20,
        KernelSet::Registers | KernelSet::Naive => 1 << 16,
    };
    let spread = time(gpu, sampling, |graph| graph_of(graph, MultiplyAdds([elements].into()), &[]))?;
    let gflops = |multiply_adds: u64, spread: Spread| 2e-9 * multiply_adds as f64 / spread.least;
    let by = "registers alone".to_owned();
    let multiply_adds = Rate { by, gflops: gflops(MultiplyAdds::EACH * elements as u64, spread) };

    let mut product = Rate { by: String::new(), gflops: 0.0 };
    for extent in PRODUCTS {
        for (transpose_b, sides) in [(false, "A·B"), (true, "A·Bᵀ")] {
            let operator = MatMul { transpose_a: false, transpose_b };
            let spread = time(gpu, sampling, |graph| graph_of(graph, operator, &[&[extent; 2], &[extent; 2]]))?;
            let gflops = gflops((extent * extent * extent) as u64, spread);
            if gflops > product.gflops {
                product = Rate { by: format!("{sides} of {extent}×{extent}"), gflops };
            }
        }
    }
    Ok(Roofline { copies, multiply_adds, product })
}

/// An operator over values that live across steps.
pub(super) fn graph_of(
    graph: &mut Graph,
    operator: impl Operator + 'static,
    inputs: &[&[usize]],
) -> Result<ValueId, GraphError> {
    let values = inputs.iter().enumerate().map(|(number, &shape)| {
        let (name, kind) = (format!("x{number}"), Role::Statistic);
        graph.persistent(&name, kind, shape, frugal_tensor::ir::Element::F32, Init::Uniform { bound: 1.0 })
    });
    let values = values.collect::<Result<Vec<ValueId>, GraphError>>()?;
    graph.apply_one(operator, &values)
}
