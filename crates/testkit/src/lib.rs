//! What the tests of several crates share: tensors in f64 and a checker of operators against references over them, the families of
//! kernels, a codec that changes nothing, moments in 8 bits. A dependency of tests alone.

mod kernels;
mod lossless;
mod moments;
mod operator_check;

pub use kernels::{all_f16, all_kernels};
pub use lossless::Lossless;
pub use moments::MomentMap;
pub use operator_check::{Build, Case, F16_ERROR, HALF, check, check_product};

use frugal_tensor::ir::{KernelSet, Precision};
use frugal_tensor::random::Stream;
use frugal_tensor::runtime::GpuOptions;
use frugal_tensor::{Gpu, GpuError, PlanOptions};
use std::rc::Rc;

/// A tensor of the reference.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Extents, the outermost first.
    pub shape: Vec<usize>,
    /// Elements, the innermost extent running fastest.
    pub data: Vec<f64>,
}

impl Tensor {
    /// Panics unless there are as many elements as the shape says.
    pub fn new(shape: &[usize], data: Vec<f64>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len());
        Self { shape: shape.to_vec(), data }
    }

    /// Element `i` is f(i).
    pub fn from_fn(shape: &[usize], f: impl FnMut(usize) -> f64) -> Self {
        Self::new(shape, (0..shape.iter().product()).map(f).collect())
    }

    /// Uniform in (−1, 1), singles.
    pub fn random(shape: &[usize], stream: u64) -> Self {
        let mut numbers = Stream::new(1, stream).uniform();
        Self::from_fn(shape, |_| f64::from(2.0 * numbers.next().unwrap() - 1.0))
    }

    /// f(number, element) of each element.
    pub fn map(&self, f: impl Fn(usize, f64) -> f64) -> Self {
        Self::new(&self.shape, self.data.iter().enumerate().map(|(i, &x)| f(i, x)).collect())
    }

    /// The elements as singles.
    pub fn f32(&self) -> Vec<f32> {
        self.data.iter().map(|&x| x as f32).collect()
    }

    /// The extents of images; panics if there are not four.
    pub fn nchw(&self) -> [usize; 4] {
        self.shape.clone().try_into().unwrap()
    }
}

/// Opens the adapter once per test; a machine without one fails the tests.
pub fn gpu() -> Rc<Gpu> {
    Gpu::open(None).expect("the tests need an adapter")
}

/// Step and seed in the control words of the operators that draw random numbers.
pub const STEP: [u32; 4] = [5, 9, 0, 0];

/// All families of kernels.
pub const SETS: [KernelSet; 3] = [KernelSet::Naive, KernelSet::Tiles, KernelSet::Registers];

/// How steps are planned for an adapter with another family of kernels.
pub fn options(gpu: &Gpu, set: KernelSet) -> PlanOptions {
    PlanOptions { set, ..gpu.plan_options() }
}

thread_local! {
    static F16_GPU: Option<Rc<Gpu>> = open_f16();
}

/// The adapter, opened for f16 once for all cases of a test; none, and a line that says so, where it has no f16.
pub fn f16_gpu() -> Option<Rc<Gpu>> {
    F16_GPU.with(Clone::clone)
}

fn open_f16() -> Option<Rc<Gpu>> {
    match Gpu::open_with(None, GpuOptions { precision: Precision::F16, ..GpuOptions::default() }) {
        Ok(gpu) => Some(gpu),
        Err(GpuError::NoF16 { adapter }) => {
            println!("skipped: {adapter} has no f16");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Panics with the first ten misfits.
pub fn compare(what: &str, got: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(got.len(), wanted.len(), "{what}: number of elements");
    let largest = wanted.iter().fold(1e-3, |m: f64, w| m.max(w.abs()));
    let wrong: Vec<String> = got
        .iter()
        .zip(wanted)
        .enumerate()
        // A NaN is off too.
        .filter(|(_, (g, w))| (*g - *w).is_nan() || (*g - *w).abs() > tolerance * largest)
        .map(|(i, (g, w))| format!("  [{i}] got {g}, wanted {w}"))
        .collect();
    assert!(
        wrong.is_empty(),
        "{what}: {} of {} elements are off by more than {tolerance} of {largest}:\n{}",
        wrong.len(),
        got.len(),
        wrong[..wrong.len().min(10)].join("\n")
    );
}
