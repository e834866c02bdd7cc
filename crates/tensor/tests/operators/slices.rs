//! Operators slice by slice along the batch, on every family of kernels: what a map makes of slices are the bits that it makes of the
//! whole, sums of slices are the sum of all samples, and the passes of a split operator make its bits.

use super::batch_norm::norm;
use frugal_tensor::ir::{
    Activation, AlongBatch, BatchSlice, Element, Graph, GraphError, Init, KernelSet, Node, Operator, SplitValue, Value,
    ValueId,
};
use frugal_tensor::ops::conv2d::Conv2d;
use frugal_tensor::ops::pool::{AveragePool, MaxPool, Windows};
use frugal_tensor::ops::upsample::Upsampling;
use frugal_tensor::runtime::Data;
use frugal_tensor::step::CONTROL;
use frugal_tensor::{Gpu, Plan, PlannedSession, Policy};
use frugal_testkit::{SETS, STEP, Tensor, gpu, options};
use std::collections::HashMap;
use std::rc::Rc;

/// Samples of all cases: no number of slices divides them.
const BATCH: usize = 7;

/// Samples of a slice: of 1 in the end, and of 3.
const SLICES: [usize; 2] = [2, 4];

/// Adds operators to a graph.
type Build<'a> = &'a dyn Fn(&mut Graph, &[ValueId]) -> Result<ValueId, GraphError>;

/// The nodes of a step with its gradients, once over the whole batch and once in slices, in one graph.
struct Twice<'p> {
    name: String,
    /// The step as a plan has it, its operators fused.
    step: &'p Graph,
    graph: Graph,
    uploads: Vec<(String, Element, Vec<u32>)>,
    /// What the graph has in the place of the step's values.
    whole: HashMap<ValueId, ValueId>,
    /// Slices of words: packed ones have a layout of their own.
    packed: HashMap<(ValueId, BatchSlice), ValueId>,
    /// Values that must have the same bits: of slices that lie one behind the other, and the whole.
    equal: Vec<(String, Vec<ValueId>, ValueId)>,
    /// Sums of slices, and sums.
    close: Vec<(String, ValueId, ValueId)>,
}

impl<'p> Twice<'p> {
    fn new(name: &str, step: &'p Graph) -> Self {
        let mut this = Self {
            name: name.into(),
            step,
            graph: Graph::new(),
            uploads: Vec::new(),
            whole: HashMap::new(),
            packed: HashMap::new(),
            equal: Vec::new(),
            close: Vec::new(),
        };
        for (id, value) in step.ids().filter(|(_, value)| value.is_given()) {
            let given = this.graph.input(&value.name, value.shape.clone(), value.element);
            this.whole.insert(id, given);
            this.uploads.push((value.name.clone(), value.element, words(value, id.index() as u64)));
        }
        for node in step.nodes() {
            let inputs: Vec<ValueId> = node.inputs.iter().map(|input| this.whole[input]).collect();
            let made = this.apply(node.operator.clone(), &inputs);
            this.whole.extend(node.outputs.iter().copied().zip(made));
            this.node(node);
        }
        this
    }

    /// Applies an operator; what it makes is read back.
    fn apply(&mut self, operator: Rc<dyn Operator>, inputs: &[ValueId]) -> Vec<ValueId> {
        let name = operator.name();
        let made = self.graph.apply_shared(operator, inputs).unwrap_or_else(|e| panic!("{}: {name}: {e}", self.name));
        made.iter().for_each(|&id| self.graph.mark_metric(id));
        made
    }

    /// Runs a node in slices, as it is or as its steps.
    fn node(&mut self, node: &Node) {
        let inputs: Vec<&Value> = node.inputs.iter().map(|&id| self.step.value(id)).collect();
        let [inputs_here, outputs_here] =
            [&node.inputs, &node.outputs].map(|ids| ids.iter().map(|id| self.whole[id]).collect::<Vec<_>>());
        let Some(steps) = node.operator.split(&inputs) else {
            let whole = node.operator.along_batch(&inputs) == AlongBatch::Whole;
            assert!(!whole, "{}: {} is not run in slices", self.name, node.operator.name());
            return self.in_slices(&node.operator, &inputs_here, &outputs_here);
        };
        let mut made: HashMap<SplitValue, ValueId> =
            inputs_here.iter().enumerate().map(|(index, &id)| (SplitValue::Input(index), id)).collect();
        for step in steps {
            let inputs: Vec<ValueId> = step.inputs.iter().map(|value| made[value]).collect();
            let outputs = self.apply(step.operator.clone(), &inputs);
            self.in_slices(&step.operator, &inputs, &outputs);
            for (&value, &id) in step.outputs.iter().zip(&outputs) {
                made.insert(value, id);
                if let SplitValue::Output(index) = value {
                    let what = format!("{}, output {index} of {}", step.operator.name(), node.operator.name());
                    self.equal.push((what, vec![id], outputs_here[index]));
                }
            }
        }
    }

    /// Runs a map or a sum in slices.
    fn in_slices(&mut self, operator: &Rc<dyn Operator>, inputs: &[ValueId], outputs: &[ValueId]) {
        let values: Vec<&Value> = inputs.iter().map(|&id| self.graph.value(id)).collect();
        let (whole, mapped) = match operator.along_batch(&values) {
            AlongBatch::Map { whole } => (whole, (0..outputs.len()).collect()),
            AlongBatch::Sum { whole, mapped } => (whole, mapped),
            _ => return,
        };
        let sums: Vec<usize> = (0..outputs.len()).filter(|index| !mapped.contains(index)).collect();
        for samples in SLICES {
            let mut totals: Vec<ValueId> = Vec::new();
            let mut maps = vec![Vec::new(); mapped.len()];
            for first in (0..BATCH).step_by(samples) {
                let slice = BatchSlice { first, samples: samples.min(BATCH - first), of: BATCH };
                let of_input = |(place, &input): (usize, &ValueId)| match whole.contains(&place) {
                    true => input,
                    false => self.slice(input, slice),
                };
                let inputs: Vec<ValueId> = inputs.iter().enumerate().map(of_input).collect();
                let for_slice = operator.for_slice(slice).unwrap_or_else(|| operator.clone());
                let parts: Vec<ValueId> = if first > 0 && !sums.is_empty() {
                    let adding = for_slice.adding().expect("a sum can add");
                    self.apply(adding, &[inputs, totals.clone()].concat())
                } else {
                    let made = self.apply(for_slice, &inputs);
                    totals = sums.iter().map(|&index| made[index]).collect();
                    mapped.iter().map(|&index| made[index]).collect()
                };
                for ((&index, parts_so_far), id) in mapped.iter().zip(&mut maps).zip(parts) {
                    self.packed.insert((outputs[index], slice), id);
                    parts_so_far.push(id);
                }
            }
            let what = |index: usize| format!("{} in slices of {samples}, output {index}", operator.name());
            self.close.extend(sums.iter().zip(totals).map(|(&index, total)| (what(index), total, outputs[index])));
            for (&index, parts) in mapped.iter().zip(maps) {
                // Words of slices are others than those of the whole; what is read of them is not.
                if self.graph.value(outputs[index]).element == Element::F32 {
                    self.equal.push((what(index), parts, outputs[index]));
                }
            }
        }
    }

    /// A slice of a value of the graph: packed words are those that a slice made, other words are uploaded, all else is cut out.
    fn slice(&mut self, id: ValueId, slice: BatchSlice) -> ValueId {
        if let Some(&known) = self.packed.get(&(id, slice)) {
            return known;
        }
        let value = self.graph.value(id);
        let (name, element, rows) = (value.name.clone(), value.element, value.shape[0]);
        assert!(rows.is_multiple_of(BATCH), "{}: {rows} rows of {name} are no samples", self.name);
        if element == Element::F32 {
            let first = slice.before(rows);
            return self.graph.slice(id, 0, first..first + slice.share(rows)).unwrap();
        }
        let (shape, elements) = (slice.shape(&value.shape), value.shape.elements());
        let (_, _, words) = self.uploads.iter().find(|(upload, ..)| *upload == name).expect("words are uploaded");
        let words = words[slice.before(elements)..][..slice.share(elements)].to_vec();
        let name = format!("{name} {slice:?}");
        let part = self.graph.input(&name, shape, element);
        self.uploads.push((name, element, words));
        self.packed.insert((id, slice), part);
        part
    }

    fn check(self, gpu: &Rc<Gpu>, set: KernelSet) {
        let plan = Plan::new(self.graph, &Policy::raw(), options(gpu, set)).unwrap();
        let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
        let data = |element: Element, words| match element {
            Element::F32 => Data::Elements(bytemuck::cast_slice(words)),
            _ => Data::Words(words),
        };
        let uploads: Vec<(&str, Data)> =
            self.uploads.iter().map(|(name, element, words)| (name.as_str(), data(*element, words))).collect();
        session.step_with(0, &uploads).unwrap();
        session.finished().unwrap();
        let read = |id| session.read_value(0, id).unwrap();
        let name = &self.name;
        for (what, parts, whole) in &self.equal {
            let parts: Vec<u32> = parts.iter().flat_map(|&id| read(id)).collect();
            assert!(parts == read(*whole), "{name} on {set:?}: {what} has other bits");
        }
        for (what, sum, whole) in &self.close {
            let [sum, whole] = [*sum, *whole].map(|id| read(id).into_iter().map(f32::from_bits).collect::<Vec<_>>());
            let largest = whole.iter().fold(1e-3f32, |largest, x| largest.max(x.abs()));
            let error = sum.iter().zip(&whole).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
            // The oracle adds all terms one after the other, so that the whole is not exact either.
            let tolerance = if set == KernelSet::Naive { 1e-5 } else { 2e-6 };
            assert!(error <= tolerance * largest, "{name} on {set:?}: {what} is off by {error} of {largest}");
        }
    }
}

/// What a given value holds: random numbers, positive variances, small indices, or the control words.
fn words(value: &Value, seed: u64) -> Vec<u32> {
    let elements = value.shape.elements();
    match value.element {
        _ if value.name == CONTROL => STEP.to_vec(),
        Element::F32 => {
            let positive = value.name.contains("var");
            let numbers = Tensor::random(value.shape.extents(), seed).f32().into_iter();
            numbers.map(|x| if positive { x.abs() + 0.1 } else { x }.to_bits()).collect()
        }
        _ => (0..elements as u32).map(|i| i * 7 % 5).collect(),
    }
}

/// Runs every node of y = build(inputs) and of its gradients in slices. The first inputs have the samples.
fn check(name: &str, inputs: &[&[usize]], build: Build) {
    let gpu = gpu();
    for set in SETS {
        let mut graph = Graph::new();
        graph.set_batch(BATCH);
        let leaf = |(index, shape): (usize, &&[usize])| {
            graph.parameter(&format!("x{index}"), *shape, Init::Constant(0.0)).unwrap()
        };
        let ids: Vec<ValueId> = inputs.iter().enumerate().map(leaf).collect();
        let y = build(&mut graph, &ids).unwrap_or_else(|e| panic!("{name}: {e}"));
        let arriving = graph.input("upstream", graph.shape(y).clone(), Element::F32);
        graph.differentiate(&[(y, Some(arriving))]).unwrap();
        let step = Plan::new(graph, &Policy::raw(), options(&gpu, set)).unwrap().graph;
        Twice::new(name, &step).check(&gpu, set);
    }
}

/// Input C×H×W, kernel K×R×S, stride, padding, dilation, groups.
type Shapes = ([usize; 3], [usize; 3], [usize; 2], usize, usize, usize);

/// Every variant of kernels, with weights' gradients in one part and in several, and with vectors and without.
const CONVOLUTIONS: [Shapes; 12] = [
    ([3, 8, 8], [16, 3, 3], [1, 1], 1, 1, 1),
    ([5, 7, 11], [13, 3, 3], [1, 1], 1, 1, 1),
    ([4, 9, 8], [9, 3, 3], [2, 2], 1, 1, 1),
    ([8, 6, 6], [36, 1, 1], [1, 1], 0, 1, 1),
    ([12, 9, 4], [20, 1, 1], [2, 2], 0, 1, 1),
    ([3, 20, 24], [9, 7, 7], [2, 2], 3, 1, 1),
    ([2, 13, 13], [3, 5, 3], [2, 1], 1, 1, 1),
    ([3, 12, 12], [8, 3, 3], [1, 1], 2, 2, 1),
    ([6, 8, 8], [4, 3, 3], [1, 1], 1, 1, 2),
    ([8, 8, 8], [8, 3, 3], [1, 1], 1, 1, 8),
    ([3, 13, 11], [3, 3, 3], [2, 2], 1, 1, 3),
    ([2, 40, 37], [2, 3, 3], [1, 1], 1, 1, 2),
];

#[test]
fn convolutions_in_slices() {
    for ([c, h, w], [k, r, s], stride, padding, dilation, groups) in CONVOLUTIONS {
        let convolution =
            Conv2d { stride, padding: [padding; 2], dilation: [dilation; 2], groups, ..Conv2d::default() };
        let name = format!("{c}×{h}×{w} with {k}×{r}×{s}, {convolution:?}");
        let shapes: [&[usize]; 2] = [&[BATCH, c, h, w], &[k, c / groups, r, s]];
        check(&name, &shapes, &|g, v| g.apply_one(convolution, v));
    }
}

#[test]
fn transposed_convolutions_in_slices() {
    for ([c, h, w], [k, r, s], stride, padding, _, groups) in CONVOLUTIONS.into_iter().filter(|shapes| shapes.5 < 3) {
        let convolution = Conv2d { stride, padding: [padding.min(r / 2); 2], groups, ..Conv2d::default() };
        let shapes: [&[usize]; 2] = [&[BATCH, c, h, w], &[c, k / groups, r, s]];
        check(&format!("transposed {c}×{h}×{w} with {k}×{r}×{s}, {convolution:?}"), &shapes, &|g, v| {
            g.conv_transpose2d(v[0], v[1], convolution, [0, 0])
        });
    }
}

/// A bias is read in full by each slice, an activation keeps words of each.
#[test]
fn epilogues_in_slices() {
    for ([c, h, w], [k, r, s], stride, padding, dilation, groups) in CONVOLUTIONS {
        let convolution =
            Conv2d { stride, padding: [padding; 2], dilation: [dilation; 2], groups, ..Conv2d::default() };
        let shapes: [&[usize]; 3] = [&[BATCH, c, h, w], &[k, c / groups, r, s], &[k]];
        check(&format!("{c}×{h}×{w} with {k}×{r}×{s}, {convolution:?}, bias and relu"), &shapes, &|g, v| {
            let y = g.apply_one(convolution, &v[..2])?;
            let y = g.bias(y, v[2])?;
            g.relu(y)
        });
    }
}

#[test]
fn batch_norms_in_slices_have_the_bits_of_the_whole() {
    for [c, h, w] in [[3, 4, 4], [5, 3, 3], [2, 17, 19], [16, 8, 8], [3, 1, 1]] {
        let shapes: [&[usize]; 4] = [&[BATCH, c, h, w], &[c], &[c], &[BATCH, c, h, w]];
        let name = format!("batch norm {c}×{h}×{w}");
        check(&name, &shapes[..3], &|g, v| norm(g, v[0], v[1], v[2]));
        for activation in [Activation::Relu, Activation::Silu] {
            check(&format!("{name} and {activation:?}"), &shapes[..3], &|g, v| {
                let y = norm(g, v[0], v[1], v[2])?;
                g.activate(y, activation)
            });
            check(&format!("{name}, a sum and {activation:?}"), &shapes, &|g, v| {
                let y = norm(g, v[0], v[1], v[2])?;
                let y = g.add(y, v[3])?;
                g.activate(y, activation)
            });
        }
    }
}

#[test]
fn pooling_in_slices() {
    for ([c, h, w], kernel, stride, padding) in [
        ([3, 8, 8], [2, 2], [2, 2], [0, 0]),
        ([2, 7, 9], [2, 2], [2, 2], [0, 0]),
        ([2, 9, 9], [3, 3], [2, 2], [1, 1]),
        ([3, 5, 6], [3, 2], [1, 1], [1, 0]),
        ([2, 10, 11], [2, 3], [3, 4], [0, 0]),
    ] {
        let shapes: [&[usize]; 1] = [&[BATCH, c, h, w]];
        let name = |kind: &str| format!("{kind} pooling {c}×{h}×{w} {kernel:?} {stride:?} {padding:?}");
        let windows = Windows { kernel, stride, padding };
        check(&name("max"), &shapes, &|g, v| g.apply_one(MaxPool { kernel, stride, padding }, v));
        check(&name("max and relu"), &shapes, &|g, v| {
            let y = g.relu(v[0])?;
            g.apply_one(MaxPool { kernel, stride, padding }, &[y])
        });
        check(&name("average"), &shapes, &|g, v| g.apply_one(AveragePool::Sliding(windows), v));
        check(&name("adaptive"), &shapes, &|g, v| g.adaptive_average_pool(v[0], [3, 4]));
        check(&name("global"), &shapes, &|g, v| g.global_average_pool(v[0]));
    }
}

#[test]
fn passes_over_elements_in_slices() {
    for [c, h, w] in [[3, 5, 5], [4, 4, 8]] {
        let shape = [BATCH, c, h, w];
        let shapes: [&[usize]; 2] = [&shape, &shape];
        for activation in super::activations::ALL {
            check(&format!("{activation:?}"), &shapes[..1], &|g, v| g.activate(v[0], activation));
        }
        check("sum and product", &shapes, &|g, v| {
            let sum = g.add(v[0], v[1])?;
            g.multiply(sum, v[0])
        });
    }
}

#[test]
fn biases_and_gates_in_slices() {
    for [c, h, w] in [[3, 5, 5], [4, 4, 8], [5, 1, 1]] {
        let x = [BATCH, c, h, w];
        for of in [vec![1], vec![c], vec![BATCH, c]] {
            let shapes: [&[usize]; 2] = [&x, &of];
            check(&format!("bias {of:?} of {x:?}"), &shapes, &|g, v| g.bias(v[0], v[1]));
            check(&format!("scale {of:?} of {x:?}"), &shapes, &|g, v| g.scale(v[0], v[1]));
        }
    }
    check("bias of a matrix", &[&[BATCH, 9], &[9]], &|g, v| g.bias(v[0], v[1]));
}

/// What only moves elements within each sample.
#[test]
fn movements_in_slices() {
    for [c, h, w] in [[3, 5, 6], [4, 4, 8]] {
        let shape = [BATCH, c, h, w];
        let shapes: [&[usize]; 2] = [&shape, &[BATCH, 2, h, w]];
        check("concatenation", &shapes, &|g, v| g.concat(&[v[0], v[1], v[0]]));
        check("crop", &shapes[..1], &|g, v| g.slice(v[0], 1, 1..3));
        check("padding", &shapes[..1], &|g, v| g.pad(v[0], &[[1, 2], [0, 3]]));
        check("transpose", &shapes[..1], &|g, v| g.transpose(v[0], &[0, 2, 3, 1]));
        check("flat", &shapes[..1], &|g, v| {
            let y = g.multiply(v[0], v[0])?;
            let y = g.flatten(y)?;
            g.multiply(y, y)
        });
        check("positions as rows", &shapes[..1], &|g, v| {
            let y = g.transpose(v[0], &[0, 2, 3, 1])?;
            let y = g.reshape(y, [BATCH * h * w, c])?;
            g.multiply(y, y)
        });
        for how in [Upsampling::Nearest, Upsampling::Bilinear] {
            check(&format!("{how:?}"), &shapes[..1], &|g, v| g.upsample(v[0], how, [2 * h, 2 * w + 1]));
        }
    }
}

#[test]
fn embeddings_in_slices() {
    for (positions, columns) in [(1, 8), (9, 3)] {
        check("embedding", &[&[6, columns]], &|g, v| {
            let indices = g.input("indices", [BATCH, positions], Element::U32);
            g.embedding(indices, v[0])
        });
    }
}

/// A crop of samples, and an order in which they are not outermost, are not run in slices.
#[test]
fn what_mixes_samples_runs_whole() {
    let mut graph = Graph::new();
    let x = graph.input("x", [BATCH, 3], Element::F32);
    graph.slice(x, 0, 0..5).unwrap();
    graph.transpose(x, &[1, 0]).unwrap();
    for node in graph.nodes() {
        let inputs: Vec<&Value> = node.inputs.iter().map(|&id| graph.value(id)).collect();
        assert_eq!(node.operator.along_batch(&inputs), AlongBatch::Whole, "{}", node.operator.name());
    }
}

/// Samples that are normalised each by itself; the sums for γ and β add up.
#[test]
fn norms_of_samples_in_slices() {
    for [c, h, w] in [[4, 5, 3], [6, 8, 8], [4, 1, 1]] {
        let shapes: [&[usize]; 3] = [&[BATCH, c, h, w], &[c], &[c]];
        for groups in [1, 2, c] {
            check(&format!("{groups} groups of {c}×{h}×{w}"), &shapes, &|g, v| {
                g.group_norm(v[0], groups, v[1], v[2], 1e-5)
            });
        }
    }
    for last in [vec![9], vec![3, 8]] {
        let shapes: [&[usize]; 3] = [&[BATCH, 3, last[last.len() - 1]], &last, &last];
        check(&format!("layer norm over {last:?}"), &shapes, &|g, v| g.layer_norm(v[0], v[1], v[2], 1e-5));
    }
}
