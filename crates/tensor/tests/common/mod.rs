//! One helper that checks any operator, forward and gradient, against an f64 reference on the CPU.

#![allow(dead_code)]

use frugal_tensor::graph::{CONTROL, Element, Init, ValueId};
use frugal_tensor::ops::KernelSet;
use frugal_tensor::random::Stream;
use frugal_tensor::{Gpu, Graph, GraphError, Plan, PlanOptions, Policy, Session};
use std::rc::Rc;

/// A tensor of the reference.
#[derive(Clone, Debug)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub data: Vec<f64>,
}

impl Tensor {
    pub fn new(shape: &[usize], data: Vec<f64>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len());
        Self { shape: shape.to_vec(), data }
    }

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

    pub fn f32(&self) -> Vec<f32> {
        self.data.iter().map(|&x| x as f32).collect()
    }

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

pub const SETS: [KernelSet; 3] = [KernelSet::Naive, KernelSet::Tiles, KernelSet::Registers];

pub fn options(gpu: &Gpu, set: KernelSet) -> PlanOptions {
    PlanOptions { set, ..gpu.plan_options() }
}

/// Adds the operator to a graph.
pub type Build<'a> = &'a dyn Fn(&mut Graph, &[ValueId]) -> Result<ValueId, GraphError>;

/// An operator under test.
pub struct Case<'a> {
    pub name: String,
    /// Values that arrive from other nodes, so that their memory may be written over.
    pub activations: Vec<Tensor>,
    /// Values that live across steps.
    pub parameters: Vec<Tensor>,
    pub build: Build<'a>,
    /// Of activations, then parameters.
    pub reference: &'a dyn Fn(&[Tensor]) -> Tensor,
    /// Gradient elements that are compared, for each input.
    pub samples: usize,
    /// Largest error over the largest magnitude of the tensor.
    pub tolerance: f64,
}

/// Checks an operator as most are checked.
pub fn check(
    name: &str,
    activations: Vec<Tensor>,
    parameters: Vec<Tensor>,
    build: Build,
    reference: &dyn Fn(&[Tensor]) -> Tensor,
) {
    let case = Case { name: name.into(), activations, parameters, build, reference, samples: 24, tolerance: 2e-5 };
    case.check(&gpu());
}

impl Case<'_> {
    /// Runs y = op(x + z, w) + t in the middle of a graph, with a random gradient arriving at y + t, on every kernel set,
    /// and compares y + t and the gradients of every x and w with the reference and its central differences.
    pub fn check(&self, gpu: &Rc<Gpu>) {
        let shifts: Vec<Tensor> =
            self.activations.iter().enumerate().map(|(i, x)| Tensor::random(&x.shape, 900 + i as u64)).collect();
        let mut inputs: Vec<Tensor> = self.activations.clone();
        for (x, z) in inputs.iter_mut().zip(&shifts) {
            for (x, z) in x.data.iter_mut().zip(&z.data) {
                *x = f64::from(*x as f32 + *z as f32);
            }
        }
        inputs.extend(self.parameters.iter().cloned());
        let expected = (self.reference)(&inputs);
        let shift = Tensor::random(&expected.shape, 800);
        let upstream = Tensor::random(&expected.shape, 801);
        let loss = |inputs: &[Tensor]| -> f64 {
            let y = (self.reference)(inputs);
            y.data.iter().zip(&upstream.data).map(|(y, u)| y * u).sum()
        };

        for set in SETS {
            let mut graph = Graph::new();
            let mut written = Vec::new();
            let mut leaf = |graph: &mut Graph, name: String, tensor: &Tensor| {
                written.push((name.clone(), tensor.f32()));
                graph.parameter(&name, tensor.shape.as_slice(), Init::Constant(0.0)).unwrap()
            };
            let mut ids = Vec::new();
            let mut leaves = Vec::new();
            for (i, (x, z)) in self.activations.iter().zip(&shifts).enumerate() {
                let x = leaf(&mut graph, format!("x{i}"), x);
                let z = leaf(&mut graph, format!("z{i}"), z);
                leaves.push(x);
                ids.push(graph.add(x, z).unwrap());
            }
            for (i, w) in self.parameters.iter().enumerate() {
                let w = leaf(&mut graph, format!("w{i}"), w);
                leaves.push(w);
                ids.push(w);
            }
            let t = leaf(&mut graph, "t".into(), &shift);
            let y = (self.build)(&mut graph, &ids).unwrap_or_else(|e| panic!("{}: {e}", self.name));
            assert_eq!(graph.shape(y).extents(), expected.shape, "{}: shape", self.name);
            let y = graph.add(y, t).unwrap();
            graph.mark_metric(y);
            let arriving = graph.input("upstream", expected.shape.as_slice(), Element::F32);
            let gradients = graph.differentiate(&[(y, Some(arriving))]).unwrap();
            for leaf in leaves.iter().filter(|leaf| gradients[leaf] != arriving) {
                graph.mark_metric(gradients[leaf]);
            }
            let plan = Plan::new(graph, &Policy::raw(), options(gpu, set)).unwrap();
            let mut session = Session::new(gpu.clone(), vec![plan], 0).unwrap();
            for (name, data) in &written {
                session.write(name, data).unwrap();
            }
            let upstream_words = upstream.f32();
            let plan = &session.plans()[0];
            let control = |id: &ValueId| plan.graph.value(*id).name == CONTROL;
            let uploads: Vec<&[u8]> = plan
                .uploads()
                .iter()
                .map(|id| if control(id) { bytemuck::cast_slice(&STEP) } else { bytemuck::cast_slice(&upstream_words) })
                .collect();
            session.step(0, &uploads).unwrap();
            session.finished().unwrap();

            let read = |id| -> Vec<f64> {
                let words = session.read_value(0, id).unwrap();
                words.into_iter().map(|w| f64::from(f32::from_bits(w))).collect()
            };
            let what = |part: &str| format!("{} on {set:?}: {part}", self.name);
            let with_shift: Vec<f64> = expected.data.iter().zip(&shift.data).map(|(y, t)| y + t).collect();
            compare(&what("forward"), &read(y), &with_shift, self.tolerance);
            for (index, leaf) in leaves.iter().enumerate() {
                let got = if gradients[leaf] == arriving { upstream.data.clone() } else { read(gradients[leaf]) };
                let elements = got.len();
                let picked: Vec<usize> = (0..elements.min(self.samples))
                    .map(|i| if elements <= self.samples { i } else { i * (elements - 1) / (self.samples - 1) })
                    .collect();
                let wanted: Vec<f64> = picked
                    .iter()
                    .map(|&i| {
                        let h = 1e-4;
                        let mut moved = inputs.clone();
                        moved[index].data[i] += h;
                        let above = loss(&moved);
                        moved[index].data[i] -= 2.0 * h;
                        (above - loss(&moved)) / (2.0 * h)
                    })
                    .collect();
                let got: Vec<f64> = picked.iter().map(|&i| got[i]).collect();
                compare(&what(&format!("gradient of input {index}")), &got, &wanted, 5.0 * self.tolerance);
            }
        }
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
