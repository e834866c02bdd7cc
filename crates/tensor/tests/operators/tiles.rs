//! Every tile that a table may choose, against f64 references, and tables that no kernel can work with.

use super::convolution::{convolve, convolve_transposed};
use frugal_tensor::ir::{
    Element, Init, KernelSet, Operator, Tile, TileTable, ValueId, tiles::Choice, tiles::Pixels, tiles::Registers,
    tiles::Strip, tiles::Work,
};
use frugal_tensor::ops::conv2d::Conv2d;
use frugal_tensor::ops::matmul::MatMul;
use frugal_tensor::{Gpu, Graph, Plan, PlanOptions, PlannedSession, Policy};
use frugal_testkit::{Tensor, compare, gpu, options};
use std::rc::Rc;

/// An operator with two inputs, and what f64 makes of it: the output and both gradients.
struct Operation {
    inputs: [Tensor; 2],
    arriving: Tensor,
    operator: Rc<dyn Operator>,
    wanted: [Tensor; 3],
}

impl Operation {
    /// The graph, and the output and the gradients in it.
    fn graph(&self) -> (Graph, [ValueId; 3]) {
        let mut graph = Graph::new();
        let leaves = [0, 1].map(|i| {
            let shape = self.inputs[i].shape.as_slice();
            graph.parameter(&format!("x{i}"), shape, Init::Constant(0.0)).unwrap()
        });
        let y = graph.apply_shared(self.operator.clone(), &leaves).unwrap()[0];
        let arriving = graph.input("arriving", self.arriving.shape.as_slice(), Element::F32);
        let gradients = graph.differentiate(&[(y, Some(arriving))]).unwrap();
        let read = [y, gradients[&leaves[0]], gradients[&leaves[1]]];
        read.iter().for_each(|&value| graph.mark_metric(value));
        (graph, read)
    }

    /// Runs it with every candidate of each of its nodes, and returns how many tables that took.
    fn check(&self, gpu: &Rc<Gpu>, set: KernelSet) -> usize {
        let (graph, read) = self.graph();
        let usual = Plan::new(graph.clone(), &Policy::raw(), options(gpu, set)).unwrap();
        let tunables: Vec<_> = usual.tunables().map(|(_, tunable)| tunable).collect();
        assert_eq!(tunables.len(), 3, "all three have tiles");
        let most = tunables.iter().map(|tunable| tunable.candidates.len()).max().unwrap();
        for round in 0..most {
            let of_round = tunables.iter().map(|t| (t.work.clone(), t.candidates[round % t.candidates.len()]));
            let choices: Vec<(Work, Choice)> = of_round.collect();
            let table = Some(Rc::new(TileTable::new(set, choices.clone()).unwrap()));
            let plan =
                Plan::new(graph.clone(), &Policy::raw(), PlanOptions { tiles: table, ..options(gpu, set) }).unwrap();
            let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
            for (i, input) in self.inputs.iter().enumerate() {
                session.write(&format!("x{i}"), &input.f32()).unwrap();
            }
            session.step(0, &[bytemuck::cast_slice(&self.arriving.f32())]).unwrap();
            session.finished().unwrap();
            for (value, wanted) in read.iter().zip(&self.wanted) {
                let got = session.read_value(0, *value).unwrap();
                let got: Vec<f64> = got.into_iter().map(|word| f64::from(f32::from_bits(word))).collect();
                compare(&format!("{choices:?}, a tensor of {:?}", wanted.shape), &got, &wanted.data, 2e-5);
            }
        }
        most
    }
}

fn product(m: usize, n: usize, k: usize) -> Operation {
    let [a, b, d] = [([m, k], 1), ([k, n], 2), ([m, n], 3)].map(|(shape, stream)| Tensor::random(&shape, stream));
    let sum = |rows: usize, columns: usize, depth: usize, term: &dyn Fn(usize, usize, usize) -> f64| {
        Tensor::from_fn(&[rows, columns], |i| (0..depth).map(|l| term(i / columns, i % columns, l)).sum())
    };
    let c = sum(m, n, k, &|i, j, l| a.data[i * k + l] * b.data[l * n + j]);
    let da = sum(m, k, n, &|i, j, l| d.data[i * n + l] * b.data[j * n + l]);
    let db = sum(k, n, m, &|i, j, l| a.data[l * k + i] * d.data[l * n + j]);
    Operation { inputs: [a, b], arriving: d, operator: Rc::new(MatMul::default()), wanted: [c, da, db] }
}

fn convolution(x: [usize; 4], w: [usize; 4], convolution: Conv2d) -> Operation {
    let [x, w] = [(x, 1), (w, 2)].map(|(shape, stream)| Tensor::random(&shape, stream));
    let y = convolve(&[x.clone(), w.clone()], convolution);
    let dy = Tensor::random(&y.shape, 3);
    let ([_, _, h, width], [_, _, oh, ow], [_, _, r, s]) = (x.nchw(), y.nchw(), w.nchw());
    let rest = |extent: usize, axis: usize, kernel: usize, out: usize| {
        let reach = (out - 1) * convolution.stride[axis] + convolution.dilation[axis] * (kernel - 1) + 1;
        extent + 2 * convolution.padding[axis] - reach
    };
    let dx = convolve_transposed(&[dy.clone(), w.clone()], convolution, [rest(h, 0, r, oh), rest(width, 1, s, ow)]);
    // y is linear in w: each weight's gradient is dy times what that weight alone makes.
    let dw = Tensor::from_fn(&w.shape, |i| {
        let unit = w.map(|j, _| f64::from(u8::from(i == j)));
        convolve(&[x.clone(), unit], convolution).data.iter().zip(&dy.data).map(|(y, d)| y * d).sum()
    });
    Operation { inputs: [x, w], arriving: dy, operator: Rc::new(convolution), wanted: [y, dx, dw] }
}

#[test]
fn products_in_tiles() {
    let gpu = gpu();
    assert!(product(65, 131, 37).check(&gpu, KernelSet::Tiles) > 8);
    product(32, 64, 128).check(&gpu, KernelSet::Tiles);
}

#[test]
fn convolutions_in_tiles() {
    let gpu = gpu();
    let strided = Conv2d { stride: [2, 2], padding: [1, 1], ..Conv2d::default() };
    convolution([2, 3, 9, 13], [17, 3, 3, 3], strided).check(&gpu, KernelSet::Tiles);
    // Planes side by side, and a weight gradient in parts.
    convolution([3, 8, 16, 16], [16, 8, 1, 1], Conv2d::default()).check(&gpu, KernelSet::Tiles);
}

#[test]
fn products_from_registers() {
    let gpu = gpu();
    product(65, 131, 37).check(&gpu, KernelSet::Registers);
    product(32, 64, 128).check(&gpu, KernelSet::Registers);
}

#[test]
fn convolutions_from_registers() {
    let gpu = gpu();
    let padded = Conv2d { padding: [1, 1], ..Conv2d::default() };
    convolution([2, 3, 9, 13], [17, 3, 3, 3], padded).check(&gpu, KernelSet::Registers);
    let strided = Conv2d { stride: [2, 2], ..padded };
    convolution([2, 4, 12, 12], [9, 4, 3, 3], strided).check(&gpu, KernelSet::Registers);
}

#[test]
fn impossible_tiles_are_refused() {
    let work = |operator: &str, direction: &str| Work {
        operator: operator.into(),
        direction: direction.into(),
        shape: "any".into(),
    };
    let [product, forward, weights] =
        [work("matrix product", "a·b"), work("convolution", "forward"), work("convolution", "weight gradient")];
    let refused = |set, work: &Work, choice, why: &str| {
        let error = TileTable::new(set, [(work.clone(), choice)]).unwrap_err().to_string();
        assert!(error.contains(why), "{choice:?}: {error}");
    };
    let tile = |all, per| Choice::Tile(Tile::new(all, per));
    for (all, per, why) in [
        ([0, 64, 16], [4, 4], "powers of two"),
        ([64, 48, 16], [4, 4], "powers of two"),
        ([64, usize::MAX, 16], [4, 4], "powers of two"),
        ([64, 64, 16], [16, 4], "one to eight"),
        ([2, 64, 16], [4, 4], "one to eight"),
        ([128, 128, 16], [4, 4], "invocations"),
        ([16, 16, 16], [8, 8], "fewer"),
        ([128, 128, 16], [8, 8], "workgroup memory"),
    ] {
        refused(KernelSet::Tiles, &product, tile(all, per), why);
    }
    let registers = |rows, columns| Choice::Registers(Registers { rows, columns });
    refused(KernelSet::Registers, &product, registers(8, 4), "multiples");
    refused(KernelSet::Registers, &product, registers(0, 4), "256 sums");
    refused(KernelSet::Registers, &product, registers(64, 16), "256 sums");
    let pixels = |width, height, channel_blocks| Choice::Pixels(Pixels { width, height, channel_blocks });
    refused(KernelSet::Registers, &forward, pixels(16, 16, 1), "128 sums");
    refused(KernelSet::Registers, &forward, pixels(0, 8, 1), "128 sums");
    refused(KernelSet::Registers, &forward, pixels(8, 4, 3), "channel blocks");
    let strip = |width, out_blocks, in_channels| Choice::Strip(Strip { width, out_blocks, in_channels });
    refused(KernelSet::Registers, &weights, strip(8, 0, 8), "1 or 2");
    refused(KernelSet::Registers, &weights, strip(33, 1, 1), "1 to 32");
    refused(KernelSet::Registers, &weights, strip(32, 2, 8), "unrolled");
    // Each kind of kernel has its own.
    refused(KernelSet::Registers, &product, tile([64, 64, 16], [4, 4]), "another kind");
    refused(KernelSet::Tiles, &product, registers(16, 4), "another kind");
    refused(KernelSet::Registers, &forward, strip(8, 1, 8), "another kind");
    refused(KernelSet::Registers, &weights, pixels(8, 8, 1), "another kind");
    refused(KernelSet::Naive, &product, tile([64, 64, 16], [4, 4]), "another kind");
}
