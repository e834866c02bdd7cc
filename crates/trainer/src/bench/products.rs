//! Matrix products of the sizes of convolutions.

use super::operators::{Sampling, time};
use super::roofline::graph_of;
use crate::Error;
use frugal_tensor::Gpu;
use frugal_tensor::ops::matmul::MatMul;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Samples of each form: there are several, and the best counts.
const SAMPLES: usize = 3;

/// What products take, each size measured once.
pub(super) struct Products {
    gpu: Rc<Gpu>,
    sampling: Sampling,
    measured: BTreeMap<[usize; 3], Option<f64>>,
}

impl Products {
    pub(super) fn new(gpu: &Rc<Gpu>, sampling: Sampling) -> Self {
        let sampling = Sampling { samples: sampling.samples.min(SAMPLES), ..sampling };
        Self { gpu: gpu.clone(), sampling, measured: BTreeMap::new() }
    }

    /// The milliseconds of the product with so many rows, columns and multiply-adds for each element, or of its transpose, at
    /// their best: how the sides lie in memory may make it several times slower. None if the adapter cannot bind them.
    pub(super) fn milliseconds(&mut self, [rows, columns, depth]: [usize; 3]) -> Result<Option<f64>, Error> {
        let size = [rows.min(columns), rows.max(columns), depth];
        if let Some(&measured) = self.measured.get(&size) {
            return Ok(measured);
        }
        let mut best: Option<f64> = None;
        for [rows, columns] in [[rows, columns], [columns, rows]] {
            for transpose_b in [false, true] {
                let operator = MatMul { transpose_a: false, transpose_b };
                let b = if transpose_b { [columns, depth] } else { [depth, columns] };
                match time(&self.gpu, self.sampling, |graph| graph_of(graph, operator, &[&[rows, depth], &b])) {
                    Ok(spread) => best = Some(best.unwrap_or(f64::INFINITY).min(spread.times(1e3).least)),
                    Err(Error::Plan(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        self.measured.insert(size, best);
        Ok(best)
    }
}
