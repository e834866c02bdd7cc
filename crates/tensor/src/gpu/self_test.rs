//! Products with f16 operands and memory that holds values in f16, tried before a run relies on them: drivers are young here, and
//! a wrong product would look like a net that does not learn.

use super::{Gpu, GpuError, Session, StepMetrics};
use crate::codec::Policy;
use crate::graph::{Element, Graph, GraphError, Init};
use crate::plan::Plan;
use crate::random::Stream;
use std::rc::Rc;

/// Rows, columns and depth: one, two and four tiles' worth of rows, and extents that no tile divides.
const EXTENTS: [[usize; 3]; 3] = [[13, 70, 37], [32, 64, 64], [67, 131, 101]];

/// What an f16 holds at most; above it, rounding gives infinity.
const LARGEST: f32 = 65_504.0;

/// Multiplies small whole numbers, whose sums are exact; numbers between −1 and 1, whose sums are off by less than
/// [`error_bound`]; and one number that no f16 holds, which must not come out finite, because only that tells a training step that
/// gradients were scaled too much. Then memory holds such numbers.
///
/// # Errors
/// [`GpuError::SelfTest`] with the first number that comes out wrong, or what befell the device.
pub(super) fn run(gpu: &Rc<Gpu>) -> Result<(), GpuError> {
    for [rows, columns, depth] in EXTENTS {
        let mut session = product(gpu, [rows, columns, depth])?;
        let random = |stream: u64, count: usize| Stream::new(1, stream).uniform().take(count).collect::<Vec<f32>>();
        let (a, b) = (random(0, rows * depth), random(1, depth * columns));
        let whole = |x: &Vec<f32>| x.iter().map(|x| (x * 17.0).floor() - 8.0).collect::<Vec<f32>>();
        let around_zero = |x: &Vec<f32>| x.iter().map(|x| 2.0 * x - 1.0).collect::<Vec<f32>>();
        for (kind, a, b, exact) in [
            ("whole numbers", whole(&a), whole(&b), true),
            ("numbers below 1", around_zero(&a), around_zero(&b), false),
        ] {
            let c = multiply(&mut session, &a, &b)?;
            let wrong = c.iter().enumerate().find(|(at, c)| {
                let terms =
                    |k: usize| f64::from(a[at / columns * depth + k]) * f64::from(b[k * columns + at % columns]);
                let sum: f64 = (0..depth).map(terms).sum();
                let size: f64 = (0..depth).map(|k| terms(k).abs()).sum();
                let error = (f64::from(**c) - sum).abs();
                error.is_nan() || error > if exact { 0.0 } else { error_bound(size, depth) }
            });
            if let Some((at, c)) = wrong {
                let what = format!("{rows}×{depth}×{columns}, {kind}, element {at}: {c}");
                return Err(GpuError::SelfTest { adapter: gpu.adapter.info.name.clone(), what });
            }
        }
        let (mut large, ones) = (vec![1.0; a.len()], vec![1.0; b.len()]);
        large[0] = 2.0 * LARGEST;
        let c = multiply(&mut session, &large, &ones)?;
        if c[..columns].iter().any(|c| c.is_finite()) || c[columns..].iter().any(|&c| c != depth as f32) {
            let what = format!("{rows}×{depth}×{columns}, {} times 1 is {}", large[0], c[0]);
            return Err(GpuError::SelfTest { adapter: gpu.adapter.info.name.clone(), what });
        }
    }
    let numbers: Vec<f32> = Stream::new(1, 2).uniform().take(61).chain([LARGEST, 2.0 * LARGEST]).collect();
    for (x, y) in numbers.iter().zip(hold(gpu, &numbers)?) {
        // Rounded to the nearest; smaller ones are multiples of 2⁻²⁴.
        let near = (x - y).abs() <= (x * 0.5f32.powi(11)).max(0.5f32.powi(25));
        if (*x <= LARGEST && !near) || (*x > LARGEST && y.is_finite()) {
            let what = format!("memory that holds {x} in f16 has {y}");
            return Err(GpuError::SelfTest { adapter: gpu.adapter.info.name.clone(), what });
        }
    }
    Ok(())
}

/// What comes back of positive numbers that memory holds in f16.
fn hold(gpu: &Rc<Gpu>, numbers: &[f32]) -> Result<Vec<f32>, GpuError> {
    let graph = || -> Result<Graph, GraphError> {
        let mut graph = Graph::new();
        let x = graph.input("x", [numbers.len()], Element::F32);
        let held = graph.relu(x)?;
        let read = graph.relu(held)?;
        graph.mark_metric(read);
        Ok(graph)
    };
    let plan = Plan::new(graph().expect("the shapes fit"), &Policy::raw(), gpu.plan_options())?;
    let mut session = Session::new(gpu.clone(), vec![plan], 0)?;
    let finished = session.step(0, &[bytemuck::cast_slice(numbers)])?;
    last(&mut session, finished)
}

/// By how much a sum of `depth` products of rounded operands may be off, if the magnitudes of the products sum to `size`: each
/// operand by 2⁻¹¹ of itself, or by 2⁻²⁴ where it is so small that an f16 is less exact; and the sums by f32's rounding.
fn error_bound(size: f64, depth: usize) -> f64 {
    let rounding = 2.0 * 0.5f64.powi(11) + depth as f64 * 0.5f64.powi(23);
    1.01 * rounding * size + depth as f64 * 0.5f64.powi(23)
}

/// C = A·B.
fn product(gpu: &Rc<Gpu>, [rows, columns, depth]: [usize; 3]) -> Result<Session, GpuError> {
    let graph = || -> Result<Graph, GraphError> {
        let mut graph = Graph::new();
        let a = graph.parameter("a", [rows, depth], Init::Constant(0.0))?;
        let b = graph.parameter("b", [depth, columns], Init::Constant(0.0))?;
        let c = graph.matmul(a, b)?;
        graph.mark_metric(c);
        Ok(graph)
    };
    let graph = graph().expect("the shapes fit");
    Session::new(gpu.clone(), vec![Plan::new(graph, &Policy::raw(), gpu.plan_options())?], 0)
}

fn multiply(session: &mut Session, a: &[f32], b: &[f32]) -> Result<Vec<f32>, GpuError> {
    session.write("a", a)?;
    session.write("b", b)?;
    let finished = session.step(0, &[])?;
    last(session, finished)
}

/// The metrics of the last step.
fn last(session: &mut Session, mut finished: Vec<StepMetrics>) -> Result<Vec<f32>, GpuError> {
    finished.extend(session.finished()?);
    let words = finished.pop().map(|metrics| metrics.words).unwrap_or_default();
    Ok(words.into_iter().map(f32::from_bits).collect())
}
