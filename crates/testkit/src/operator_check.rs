//! Checks any operator, forward and gradient, against an f64 reference on the CPU.

use super::{SETS, STEP, Tensor, compare, f16_gpu, gpu, options};
use frugal_tensor::ir::{Backward, Element, Init, Kernel, KernelContext, Operands, Operator, Output, Value, ValueId};
use frugal_tensor::runtime::Data;
use frugal_tensor::step::CONTROL;
use frugal_tensor::{Gpu, Graph, GraphError, Plan, PlanOptions, PlannedSession, Policy};
use std::rc::Rc;

/// Adds the operator to a graph.
pub type Build<'a> = &'a dyn Fn(&mut Graph, &[ValueId]) -> Result<ValueId, GraphError>;

/// An operator under test.
pub struct Case<'a> {
    /// What messages call it.
    pub name: String,
    /// Values that arrive from other nodes, so that their memory may be written over.
    pub activations: Vec<Tensor>,
    /// Values that live across steps.
    pub parameters: Vec<Tensor>,
    /// Puts the operator over them.
    pub build: Build<'a>,
    /// What it gives, in f64, of activations, then parameters.
    pub reference: &'a dyn Fn(&[Tensor]) -> Tensor,
    /// Gradient elements that are compared, for each input.
    pub samples: usize,
    /// Largest error over the largest magnitude of the tensor.
    pub tolerance: f64,
    /// How often what comes of it is rounded on the way, where memory holds activations in f16.
    pub roundings: f64,
}

/// Checks an operator as most are checked.
pub fn check(
    name: &str,
    activations: Vec<Tensor>,
    parameters: Vec<Tensor>,
    build: Build,
    reference: &dyn Fn(&[Tensor]) -> Tensor,
) {
    Case::usual(name, activations, parameters, build, reference).check();
}

/// What a step computed of a case: y + t, and the gradient of each activation and parameter.
struct Computed {
    forward: Vec<f64>,
    gradients: Vec<Vec<f64>>,
}

impl<'a> Case<'a> {
    /// A case with the tolerances of most operators.
    pub fn usual(
        name: &str,
        activations: Vec<Tensor>,
        parameters: Vec<Tensor>,
        build: Build<'a>,
        reference: &'a dyn Fn(&[Tensor]) -> Tensor,
    ) -> Self {
        let (name, roundings) = (name.into(), 1.0);
        Self { name, activations, parameters, build, reference, samples: 24, tolerance: 2e-5, roundings }
    }

    /// Checks it in f32, and where the adapter has f16, also held in that.
    pub fn check(&self) {
        self.check_f32();
        if let Some(gpu) = f16_gpu() {
            self.check_held_in_f16(&gpu);
        }
    }

    /// What is added to activation `index`, so that it comes out of a node.
    fn shifts(&self) -> Vec<Tensor> {
        self.activations.iter().enumerate().map(|(i, x)| Tensor::random(&x.shape, 900 + i as u64)).collect()
    }

    /// What the operator reads: activations with their shifts, then parameters.
    fn inputs(&self) -> Vec<Tensor> {
        let mut inputs = self.activations.clone();
        for (x, z) in inputs.iter_mut().zip(&self.shifts()) {
            for (x, z) in x.data.iter_mut().zip(&z.data) {
                *x = f64::from(*x as f32 + *z as f32);
            }
        }
        inputs.extend(self.parameters.iter().cloned());
        inputs
    }

    /// Runs y = op(x + z, w) + t in the middle of a graph, with the gradient `upstream` arriving at y + t.
    fn compute(&self, gpu: &Rc<Gpu>, options: PlanOptions, shift: &Tensor, upstream: &Tensor) -> Computed {
        let mut graph = Graph::new();
        let mut written = Vec::new();
        let mut leaf = |graph: &mut Graph, name: String, tensor: &Tensor| {
            written.push((name.clone(), tensor.f32()));
            graph.parameter(&name, tensor.shape.as_slice(), Init::Constant(0.0)).unwrap()
        };
        // What arrives and what comes of it go through memory, forward and backward.
        let through = |graph: &mut Graph, v: ValueId| match options.operands {
            Operands::F32 => v,
            _ => graph.apply_one(Through, &[v]).unwrap(),
        };
        let mut uploaded = vec![("upstream".to_owned(), upstream.f32())];
        let mut ids = Vec::new();
        let mut leaves = Vec::new();
        for (i, (x, z)) in self.activations.iter().zip(&self.shifts()).enumerate() {
            let x = leaf(&mut graph, format!("x{i}"), x);
            uploaded.push((format!("z{i}"), z.f32()));
            let z = graph.input(&format!("z{i}"), z.shape.as_slice(), Element::F32);
            leaves.push(x);
            let sum = graph.add(x, z).unwrap();
            ids.push(through(&mut graph, sum));
        }
        for (i, w) in self.parameters.iter().enumerate() {
            let w = leaf(&mut graph, format!("w{i}"), w);
            leaves.push(w);
            ids.push(w);
        }
        let t = leaf(&mut graph, "t".into(), shift);
        let y = (self.build)(&mut graph, &ids).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        assert_eq!(graph.shape(y).extents(), shift.shape, "{}: shape", self.name);
        let y = through(&mut graph, y);
        let y = graph.add(y, t).unwrap();
        graph.mark_metric(y);
        let arriving = graph.input("upstream", shift.shape.as_slice(), Element::F32);
        let gradients = graph.differentiate(&[(y, Some(arriving))]).unwrap();
        for leaf in leaves.iter().filter(|leaf| gradients[leaf] != arriving) {
            graph.mark_metric(gradients[leaf]);
        }
        let plan = Plan::new(graph, &Policy::raw(), options).unwrap();
        let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
        for (name, data) in &written {
            session.write(name, data).unwrap();
        }
        let mut inputs: Vec<(&str, Data)> = uploaded.iter().map(|(name, data)| (name.as_str(), data.into())).collect();
        if session.plans()[0].graph.ids().any(|(_, value)| value.name == CONTROL) {
            inputs.push((CONTROL, (&STEP).into()));
        }
        session.step_with(0, &inputs).unwrap();
        session.finished().unwrap();

        let read = |id| -> Vec<f64> {
            let words = session.read_value(0, id).unwrap();
            words.into_iter().map(|w| f64::from(f32::from_bits(w))).collect()
        };
        let gradient = |leaf: &ValueId| match gradients[leaf] {
            same if same == arriving => upstream.data.clone(),
            gradient => read(gradient),
        };
        Computed { forward: read(y), gradients: leaves.iter().map(gradient).collect() }
    }

    /// Elements of a gradient that are compared.
    fn picked(&self, elements: usize) -> Vec<usize> {
        match elements <= self.samples {
            true => (0..elements).collect(),
            false => (0..self.samples).map(|i| i * (elements - 1) / (self.samples - 1)).collect(),
        }
    }

    /// Some elements of the gradient of Σ upstream · reference(inputs) with respect to one of these, by central differences.
    fn slopes(&self, inputs: &[Tensor], index: usize, upstream: &Tensor) -> Vec<f64> {
        let loss = |inputs: &[Tensor]| -> f64 {
            let y = (self.reference)(inputs);
            y.data.iter().zip(&upstream.data).map(|(y, u)| y * u).sum()
        };
        let slope = |i: usize| {
            let h = 1e-4;
            let mut moved = inputs.to_vec();
            moved[index].data[i] += h;
            let above = loss(&moved);
            moved[index].data[i] -= 2.0 * h;
            (above - loss(&moved)) / (2.0 * h)
        };
        self.picked(inputs[index].data.len()).into_iter().map(slope).collect()
    }

    /// Compares y + t and the gradients of every x and w with the reference and its central differences, with a random gradient
    /// arriving, on every kernel set.
    pub fn check_f32(&self) {
        let gpu = &gpu();
        let inputs = self.inputs();
        let expected = (self.reference)(&inputs);
        let (shift, upstream) = (Tensor::random(&expected.shape, 800), Tensor::random(&expected.shape, 801));
        let with_shift = expected.map(|i, y| y + shift.data[i]);
        let slopes: Vec<Vec<f64>> = (0..inputs.len()).map(|index| self.slopes(&inputs, index, &upstream)).collect();
        for set in SETS {
            let computed = self.compute(gpu, options(gpu, set), &shift, &upstream);
            let what = |part: &str| format!("{} on {set:?}: {part}", self.name);
            compare(&what("forward"), &computed.forward, &with_shift.data, self.tolerance);
            for (index, (got, wanted)) in computed.gradients.iter().zip(&slopes).enumerate() {
                let got: Vec<f64> = self.picked(got.len()).into_iter().map(|i| got[i]).collect();
                compare(&what(&format!("gradient of input {index}")), &got, wanted, 5.0 * self.tolerance);
            }
        }
    }

    /// What the operator reads where memory holds activations in f16.
    fn inputs_in_f16(&self) -> Vec<Tensor> {
        let mut inputs = self.inputs();
        inputs.iter_mut().take(self.activations.len()).for_each(|x| *x = in_f16(x));
        inputs
    }

    /// The same where memory holds activations and their gradients in f16. Elements may be off by their roundings, gradients by
    /// those of what was kept besides, over the largest magnitude of the tensor.
    fn check_held_in_f16(&self, gpu: &Rc<Gpu>) {
        let inputs = self.inputs_in_f16();
        let expected = (self.reference)(&inputs);
        let (zeros, upstream) = (expected.map(|_, _| 0.0), in_f16(&Tensor::random(&expected.shape, 801)));
        let slopes: Vec<Vec<f64>> = (0..inputs.len()).map(|index| self.slopes(&inputs, index, &upstream)).collect();
        for set in SETS {
            let computed = self.compute(gpu, options(gpu, set), &zeros, &upstream);
            let what = |part: &str| format!("{} held in f16 on {set:?}: {part}", self.name);
            compare(&what("forward"), &computed.forward, &expected.data, self.tolerance + self.roundings * HALF);
            for (index, (got, wanted)) in computed.gradients.iter().zip(&slopes).enumerate() {
                let got: Vec<f64> = self.picked(got.len()).into_iter().map(|i| got[i]).collect();
                let tolerance = 5.0 * self.tolerance + (self.roundings + 3.0) * HALF;
                compare(&what(&format!("gradient of input {index}")), &got, wanted, tolerance);
            }
        }
    }

    /// The same of an operator that is linear in each input: an element may be off by [`F16_ERROR`] of the sum of the
    /// magnitudes of its terms. Returns the largest such share.
    fn check_f16(&self, gpu: &Rc<Gpu>) -> f64 {
        let inputs = self.inputs_in_f16();
        let magnitudes: Vec<Tensor> = inputs.iter().map(|x| x.map(|_, x| x.abs())).collect();
        let (expected, sizes) = ((self.reference)(&inputs), (self.reference)(&magnitudes));
        let (zeros, upstream) = (expected.map(|_, _| 0.0), in_f16(&Tensor::random(&expected.shape, 801)));
        let arriving = upstream.map(|_, u| u.abs());
        let mut worst: f64 = 0.0;
        for set in SETS {
            let computed = self.compute(gpu, options(gpu, set), &zeros, &upstream);
            let mut look = |part: &str, got: &[f64], wanted: &[f64], sizes: &[f64]| {
                assert_eq!(got.len(), wanted.len(), "{}: {part}", self.name);
                for (i, ((got, wanted), size)) in got.iter().zip(wanted).zip(sizes).enumerate() {
                    // Central differences are off by some 1e-9.
                    let error = (got - wanted).abs() - 1e-7;
                    let place = format!("{} in f16 on {set:?}: {part}[{i}]", self.name);
                    assert!(error <= F16_ERROR * size, "{place}: got {got}, wanted {wanted}, terms sum to {size}");
                    worst = worst.max(error / size.max(1e-3));
                }
            };
            look("forward", &computed.forward, &expected.data, &sizes.data);
            for (index, got) in computed.gradients.iter().enumerate() {
                let got: Vec<f64> = self.picked(got.len()).into_iter().map(|i| got[i]).collect();
                let [wanted, sizes] = [(&inputs, &upstream), (&magnitudes, &arriving)]
                    .map(|(inputs, upstream)| self.slopes(inputs, index, upstream));
                look(&format!("gradient of input {index}"), &got, &wanted, &sizes);
            }
        }
        worst
    }
}

/// What rounding to f16 costs at most.
pub const HALF: f64 = 1.01 / 2048.0;

/// What rounding a weight to f16 (what it is multiplied by is in f16), summing in f32 and rounding the sum costs at most, over the
/// sum of the terms' magnitudes.
pub const F16_ERROR: f64 = 2.0 * HALF;

/// The elements as an f16 holds them.
fn in_f16(x: &Tensor) -> Tensor {
    x.map(|_, x| half::f16::from_f64(x).to_f64())
}

/// y = x, with a gradient that is dy: what arrives and what comes of it are values of their own.
#[derive(Debug)]
struct Through;

const COPY: &str = "
    struct Params { count: u32 }
    @group(0) @binding(0) var<uniform> p: Params;
    @group(0) @binding(1) var<storage, read_write> x: array<f32>;
    @group(0) @binding(2) var<storage, read_write> y: array<f32>;

    {% include 'parts/each.wgsl' %}

    fn each(i: u32) {
        y[i] = x[i];
    }";

impl Operator for Through {
    fn name(&self) -> &'static str {
        "through"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("through", inputs[0].shape.clone())])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let elements = context.outputs[0].shape.elements();
        vec![Kernel::wgsl("through", COPY).parameter(elements).inputs([0]).outputs([0]).invocations(elements, 64)]
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let arriving = backward.grad_output()?;
        let gradient = backward.apply(Through, &[arriving])?[0];
        backward.set_grad_input(0, gradient);
        Ok(())
    }
}

/// Checks an operator that is linear in each input in f32, and where the adapter has f16, with f16 operands.
pub fn check_product(
    name: &str,
    activations: Vec<Tensor>,
    parameters: Vec<Tensor>,
    build: Build,
    reference: &dyn Fn(&[Tensor]) -> Tensor,
) {
    let case = Case::usual(name, activations, parameters, build, reference);
    case.check_f32();
    if let Some(gpu) = f16_gpu() {
        let (error, operands) = (case.check_f16(&gpu), gpu.plan_options().operands);
        println!("{name}, {operands:?}: off by {error:.2e} of what the terms sum to");
    }
}
