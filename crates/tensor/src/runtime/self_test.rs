//! Products with f16 operands and memory that holds values in f16, tried before a run relies on them: drivers are young here, and
//! a wrong product would look like a net that does not learn.

use super::{Gpu, GpuError, PlannedSession, StepMetrics};
use crate::codec::Policy;
use crate::ir::{Element, Graph, GraphError, Init};
use crate::plan::Plan;
use crate::random::Stream;
use std::rc::Rc;

/// Rows, columns and depth: one, two and four tiles' worth of rows, and extents that no tile divides.
const EXTENTS: [[usize; 3]; 3] = [[13, 70, 37], [32, 64, 64], [67, 131, 101]];

/// What an f16 holds at most; above it, rounding gives infinity.
const LARGEST: f32 = 65_504.0;

/// Lets the device multiply and hold numbers, and judges what comes out.
///
/// # Errors
/// [`GpuError::SelfTest`] with the first number that comes out wrong, or a failure of the device.
pub(super) fn run(gpu: &Rc<Gpu>) -> Result<(), GpuError> {
    let wrong = |what| GpuError::SelfTest { adapter: gpu.adapter.info.name.clone(), what };
    for extents in EXTENTS {
        let mut session = product(gpu, extents)?;
        let fault = fault(extents, |a, b| multiply(&mut session, a, b))?;
        fault.map_or(Ok(()), |what| Err(wrong(what)))?;
    }
    fault_of_memory(|numbers| hold(gpu, numbers))?.map_or(Ok(()), |what| Err(wrong(what)))
}

/// What is wrong with positive numbers after memory held them in f16, if anything is. They come back rounded to the nearest; one
/// that no f16 holds must not come back finite.
fn fault_of_memory<E>(hold: impl FnOnce(&[f32]) -> Result<Vec<f32>, E>) -> Result<Option<String>, E> {
    let numbers: Vec<f32> = Stream::new(1, 2).uniform().take(61).chain([LARGEST, 2.0 * LARGEST]).collect();
    let held = hold(&numbers)?;
    if held.len() != numbers.len() {
        return Ok(Some(format!("memory that holds {} numbers has {}", numbers.len(), held.len())));
    }
    let wrong = numbers.iter().zip(held).find(|(x, y)| {
        // Small ones are multiples of 2⁻²⁴.
        let near = (*x - y).abs() <= (*x * 0.5f32.powi(11)).max(0.5f32.powi(25));
        (**x <= LARGEST && !near) || (**x > LARGEST && y.is_finite())
    });
    Ok(wrong.map(|(x, y)| format!("memory that holds {x} in f16 has {y}")))
}

/// What is wrong with products of rows × depth by depth × columns, if anything is. They are of small whole numbers, whose sums
/// are exact; of numbers between −1 and 1, whose sums are off by less than [`error_bound`]; and of one number that no f16 holds,
/// which must not come out finite, because only that tells a training step that gradients were scaled too much.
fn fault<E>(
    [rows, columns, depth]: [usize; 3],
    mut multiply: impl FnMut(&[f32], &[f32]) -> Result<Vec<f32>, E>,
) -> Result<Option<String>, E> {
    let random = |stream: u64, count: usize| Stream::new(1, stream).uniform().take(count).collect::<Vec<f32>>();
    let (a, b) = (random(0, rows * depth), random(1, depth * columns));
    let whole = |x: &Vec<f32>| x.iter().map(|x| (x * 17.0).floor() - 8.0).collect::<Vec<f32>>();
    let around_zero = |x: &Vec<f32>| x.iter().map(|x| 2.0 * x - 1.0).collect::<Vec<f32>>();
    for (kind, a, b, exact) in
        [("whole numbers", whole(&a), whole(&b), true), ("numbers below 1", around_zero(&a), around_zero(&b), false)]
    {
        let c = multiply(&a, &b)?;
        if c.len() != rows * columns {
            return Ok(Some(format!("{rows}×{depth}×{columns}: {} elements", c.len())));
        }
        let wrong = c.iter().enumerate().find(|(at, c)| {
            let terms = |k: usize| f64::from(a[at / columns * depth + k]) * f64::from(b[k * columns + at % columns]);
            let sum: f64 = (0..depth).map(terms).sum();
            let size: f64 = (0..depth).map(|k| terms(k).abs()).sum();
            let error = (f64::from(**c) - sum).abs();
            error.is_nan() || error > if exact { 0.0 } else { error_bound(size, depth) }
        });
        if let Some((at, c)) = wrong {
            return Ok(Some(format!("{rows}×{depth}×{columns}, {kind}, element {at}: {c}")));
        }
    }
    let (mut large, ones) = (vec![1.0; a.len()], vec![1.0; b.len()]);
    large[0] = 2.0 * LARGEST;
    let c = multiply(&large, &ones)?;
    let wrong = c[..columns].iter().any(|c| c.is_finite()) || c[columns..].iter().any(|&c| c != depth as f32);
    Ok(wrong.then(|| format!("{rows}×{depth}×{columns}, {} times 1 is {}", large[0], c[0])))
}

/// By how much a sum of `depth` products of rounded operands may be off, if the magnitudes of the products sum to `size`: each
/// operand by 2⁻¹¹ of itself, or by 2⁻²⁴ where it is so small that an f16 is less exact; and the sums by f32's rounding.
fn error_bound(size: f64, depth: usize) -> f64 {
    let rounding = 2.0 * 0.5f64.powi(11) + depth as f64 * 0.5f64.powi(23);
    1.01 * rounding * size + depth as f64 * 0.5f64.powi(23)
}

/// C = A·B.
fn product(gpu: &Rc<Gpu>, [rows, columns, depth]: [usize; 3]) -> Result<PlannedSession, GpuError> {
    let graph = || -> Result<Graph, GraphError> {
        let mut graph = Graph::new();
        let a = graph.parameter("a", [rows, depth], Init::Constant(0.0))?;
        let b = graph.parameter("b", [depth, columns], Init::Constant(0.0))?;
        let c = graph.matmul(a, b)?;
        graph.mark_metric(c);
        Ok(graph)
    };
    let graph = graph().expect("the shapes fit");
    PlannedSession::new(gpu.clone(), vec![Plan::new(graph, &Policy::raw(), gpu.plan_options())?], 0)
}

fn multiply(session: &mut PlannedSession, a: &[f32], b: &[f32]) -> Result<Vec<f32>, GpuError> {
    session.write("a", a)?;
    session.write("b", b)?;
    let finished = session.step(0, &[])?;
    last(session, finished)
}

/// What memory has after it held positive numbers in f16.
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
    let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0)?;
    let finished = session.step(0, &[bytemuck::cast_slice(numbers)])?;
    last(&mut session, finished)
}

/// The metrics of the last step.
fn last(session: &mut PlannedSession, mut finished: Vec<StepMetrics>) -> Result<Vec<f32>, GpuError> {
    finished.extend(session.finished()?);
    let words = finished.pop().map(|metrics| metrics.words).unwrap_or_default();
    Ok(words.into_iter().map(f32::from_bits).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::f16;
    use std::convert::Infallible;

    /// Products of operands that are rounded by the first function, with sums by the second.
    fn judged(round: impl Fn(f32) -> f32, add: impl Fn(f32, f32) -> f32) -> Option<String> {
        let [rows, columns, depth] = EXTENTS[0];
        let multiply = |a: &[f32], b: &[f32]| {
            let element = |at: usize| {
                let term = |k: usize| round(a[at / columns * depth + k]) * round(b[k * columns + at % columns]);
                (0..depth).map(term).fold(0.0, &add)
            };
            Ok::<_, Infallible>((0..rows * columns).map(element).collect())
        };
        let Ok(fault) = fault(EXTENTS[0], multiply);
        fault
    }

    fn rounded(x: f32) -> f32 {
        f16::from_f32(x).to_f32()
    }

    #[test]
    fn f16_operands_and_f32_sums_pass() {
        assert_eq!(judged(rounded, |sum, term| sum + term), None);
    }

    #[test]
    fn a_term_left_out_is_found() {
        let mut terms = 0;
        let [rows, columns, depth] = EXTENTS[0];
        let multiply = |a: &[f32], b: &[f32]| {
            let mut c = vec![0.0; rows * columns];
            for (at, c) in c.iter_mut().enumerate() {
                for k in 0..depth {
                    terms += 1;
                    // The last of the last row's.
                    let there = terms != rows * columns * depth;
                    *c += if there { a[at / columns * depth + k] * b[k * columns + at % columns] } else { 0.0 };
                }
            }
            Ok::<_, Infallible>(c)
        };
        let Ok(fault) = fault(EXTENTS[0], multiply);
        let fault = fault.expect("a fault");
        assert!(
            fault.contains("whole numbers") && fault.contains(&format!("element {}", rows * columns - 1)),
            "{fault}"
        );
    }

    #[test]
    fn sums_in_f16_are_found() {
        let fault = judged(rounded, |sum, term| rounded(sum + term)).expect("a fault");
        assert!(fault.contains("below 1"), "{fault}");
    }

    #[test]
    fn operands_of_fewer_bits_are_found() {
        let bfloat = |x: f32| half::bf16::from_f32(x).to_f32();
        assert!(judged(bfloat, |sum, term| sum + term).is_some_and(|fault| fault.contains("below 1")));
    }

    #[test]
    fn saturation_is_found() {
        let saturated = |x: f32| rounded(x).clamp(-LARGEST, LARGEST);
        assert!(judged(saturated, |sum, term| sum + term).is_some_and(|fault| fault.contains("times 1 is")));
    }

    #[test]
    fn memory_that_rounds_to_the_nearest_passes_and_none_else() {
        let held = |round: fn(f32) -> f32| {
            let Ok(fault) = fault_of_memory(|numbers| Ok::<_, Infallible>(numbers.iter().map(|x| round(*x)).collect()));
            fault
        };
        assert_eq!(held(rounded), None);
        assert!(held(|x| x).is_some_and(|fault| fault.contains("131008")), "not held in f16 at all");
        assert!(held(|x| half::bf16::from_f32(x).to_f32()).is_some(), "of fewer bits");
        assert!(held(|x| rounded(x).min(LARGEST)).is_some(), "that saturates");
        let towards_zero = |x: f32| f16::from_bits(f16::from_f32(x).to_bits() - u16::from(rounded(x) > x)).to_f32();
        assert!(held(towards_zero).is_some(), "that cuts off");
    }
}
