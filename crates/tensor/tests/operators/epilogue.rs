//! Convolutions, matrix products and max pooling with what comes behind them: a bias, an activation.

use super::activations::{ALL, reference};
use super::convolution::{convolve, convolve_transposed};
use frugal_tensor::ir::{Graph, Init, KernelSet, ValueId};
use frugal_tensor::ops::activation::Activation;
use frugal_tensor::ops::conv2d::{Conv2d, ConvTranspose2d};
use frugal_tensor::ops::matmul::MatMul;
use frugal_tensor::{Plan, PlanOptions, PlannedSession, Policy};
use frugal_testkit::{Case, Tensor, check_product, gpu, options};

/// y + b, with an element of b for each channel.
fn biased(y: &Tensor, b: &Tensor) -> Tensor {
    let plane: usize = y.shape[2..].iter().product();
    y.map(|i, y| y + b.data[i / plane % b.data.len()])
}

/// a·bᵀ.
fn linear(t: &[Tensor]) -> Tensor {
    let ([m, k], n) = ([t[0].shape[0], t[0].shape[1]], t[1].shape[0]);
    Tensor::from_fn(&[m, n], |i| (0..k).map(|q| t[0].data[i / n * k + q] * t[1].data[i % n * k + q]).sum())
}

const LINEAR: MatMul = MatMul { transpose_a: false, transpose_b: true };

fn of(stride: usize, padding: usize, groups: usize) -> Conv2d {
    Conv2d { stride: [stride; 2], padding: [padding; 2], groups, ..Conv2d::default() }
}

/// Input N×C×H×W, weights K×C/groups×R×S, stride, padding, groups: every family of kernels, with and without a rest.
const CONVOLUTIONS: [([usize; 4], [usize; 4], [usize; 3]); 13] = [
    ([2, 1, 28, 28], [8, 1, 5, 5], [1, 2, 1]),
    ([2, 16, 16, 16], [16, 16, 3, 3], [1, 1, 1]),
    ([3, 5, 7, 11], [13, 5, 3, 3], [1, 1, 1]),
    ([2, 17, 9, 9], [70, 17, 3, 3], [2, 1, 1]),
    // One tap: vectors along output channels, and none.
    ([1, 36, 5, 8], [40, 36, 1, 1], [1, 0, 1]),
    ([2, 20, 1, 1], [19, 20, 1, 1], [1, 0, 1]),
    // Groups.
    ([1, 12, 7, 9], [30, 4, 3, 3], [1, 1, 3]),
    ([2, 16, 6, 6], [40, 8, 1, 1], [1, 0, 2]),
    // A channel for itself, with two filters, and without vectors.
    ([2, 8, 12, 16], [8, 1, 3, 3], [1, 1, 8]),
    ([1, 3, 7, 9], [6, 1, 3, 3], [2, 1, 3]),
    // Implicit products everywhere.
    ([1, 2, 21, 19], [4, 2, 11, 11], [2, 4, 1]),
    ([1, 4, 21, 19], [6, 2, 11, 11], [2, 4, 2]),
    ([1, 1, 1, 1], [1, 1, 1, 1], [1, 0, 1]),
];

#[test]
fn convolution_and_bias() {
    for (x, w, [stride, padding, groups]) in CONVOLUTIONS {
        let convolution = of(stride, padding, groups);
        check_product(
            &format!("{x:?} with {w:?}, {convolution:?} and a bias"),
            vec![Tensor::random(&x, 1)],
            vec![Tensor::random(&w, 2), Tensor::random(&[w[0]], 3)],
            &|g, v| {
                let y = g.apply_one(convolution, &v[..2])?;
                g.bias(y, v[2])
            },
            &|t| biased(&convolve(t, convolution), &t[2]),
        );
    }
}

#[test]
fn transposed_convolution_and_bias() {
    for (x, w, stride, padding, groups) in [
        ([2, 16, 6, 6], [16, 9, 3, 3], 1, 1, 1),
        ([1, 5, 5, 7], [5, 3, 3, 3], 2, 1, 1),
        ([1, 6, 4, 5], [6, 4, 2, 2], 2, 0, 2),
        ([2, 4, 5, 8], [4, 1, 3, 3], 2, 1, 4),
        ([1, 2, 5, 6], [2, 3, 9, 9], 2, 3, 1),
    ] {
        let transposed = ConvTranspose2d { convolution: of(stride, padding, groups), output_padding: [stride - 1; 2] };
        check_product(
            &format!("{x:?} with {w:?}, {transposed:?} and a bias"),
            vec![Tensor::random(&x, 1)],
            vec![Tensor::random(&w, 2), Tensor::random(&[w[1] * groups], 3)],
            &|g, v| {
                let y = g.apply_one(transposed, &[v[1], v[0]])?;
                g.bias(y, v[2])
            },
            &|t| biased(&convolve_transposed(t, transposed.convolution, transposed.output_padding), &t[2]),
        );
    }
}

#[test]
fn product_and_bias() {
    for [m, n, k] in [[64, 10, 84], [1, 1, 1], [33, 40, 17], [5, 7, 128], [70, 68, 36]] {
        check_product(
            &format!("{m}×{k} by {n}×{k} and a bias"),
            vec![Tensor::random(&[m, k], 1)],
            vec![Tensor::random(&[n, k], 2), Tensor::random(&[n], 3)],
            &|g, v| {
                let y = g.linear(v[0], v[1])?;
                g.bias(y, v[2])
            },
            &|t| biased(&linear(t), &t[2]),
        );
        // As it is, its columns may be vectors.
        check_product(
            &format!("{m}×{k} by {k}×{n} and a bias"),
            vec![Tensor::random(&[m, k], 1)],
            vec![Tensor::random(&[k, n], 2), Tensor::random(&[n], 3)],
            &|g, v| {
                let y = g.matmul(v[0], v[1])?;
                g.bias(y, v[2])
            },
            &|t| {
                let transposed = Tensor::from_fn(&[n, k], |i| t[1].data[i % k * n + i / k]);
                biased(&linear(&[t[0].clone(), transposed]), &t[2])
            },
        );
    }
}

/// Each activation behind each of them, with and without a bias between; in f32, because weights rounded to f16 would take
/// elements across the bends of some.
#[test]
fn activations_behind_products() {
    let (x, w) = ([2, 5, 6, 8], [9, 5, 3, 3]);
    let convolution = of(1, 1, 1);
    let (a, b) = ([6, 12], [20, 12]);
    for activation in ALL {
        let then = |g: &mut Graph, y: ValueId, b: Option<&ValueId>| {
            let y = b.map_or(Ok(y), |&b| g.bias(y, b))?;
            g.activate(y, activation)
        };
        let after = |y: Tensor, b: Option<&Tensor>| {
            let y = b.map_or(y.clone(), |b| biased(&y, b));
            y.map(|_, y| reference(activation, y))
        };
        for parameters in [1, 2] {
            Case::usual(
                &format!("{activation:?} behind a convolution, {parameters} parameters"),
                vec![Tensor::random(&x, 1)],
                [Tensor::random(&w, 2), Tensor::random(&[9], 3)][..parameters].to_vec(),
                &|g, v| {
                    let y = g.apply_one(convolution, &v[..2])?;
                    then(g, y, v.get(2))
                },
                &|t| after(convolve(t, convolution), t.get(2)),
            )
            .check_f32();
            Case::usual(
                &format!("{activation:?} behind a product, {parameters} parameters"),
                vec![Tensor::random(&a, 1)],
                [Tensor::random(&b, 2), Tensor::random(&[20], 3)][..parameters].to_vec(),
                &|g, v| {
                    let y = g.linear(v[0], v[1])?;
                    then(g, y, v.get(2))
                },
                &|t| after(linear(t), t.get(2)),
            )
            .check_f32();
        }
    }
}

/// A graph, what it makes and what lies between its nodes.
struct Built {
    graph: Graph,
    made: ValueId,
    between: Vec<ValueId>,
}

/// What a graph makes, in bits, and its nodes. What is read back is made by a node of its own.
fn run(set: KernelSet, built: Built, apart: bool) -> (Vec<u32>, Vec<&'static str>) {
    let Built { mut graph, made, between } = built;
    graph.mark_metric(made);
    for value in between.into_iter().filter(|_| apart) {
        graph.mark_metric(value);
    }
    let gpu = gpu();
    let plan = Plan::new(graph, &Policy::raw(), options(&gpu, set)).unwrap();
    let names = plan.graph.nodes().iter().map(|node| node.operator.name()).collect();
    let mut session = PlannedSession::new(gpu, vec![plan], 7).unwrap();
    session.step(0, &[]).unwrap();
    session.finished().unwrap();
    (session.read_value(0, made).unwrap(), names)
}

/// That nodes are joined to `together`, and the results are the same to the bit as those of `alone`.
fn compare_bits(what: &str, build: &dyn Fn() -> Built, together: &[&str], alone: &[&str]) {
    for set in [KernelSet::Tiles, KernelSet::Registers] {
        let ((joined, one), (apart, several)) = (run(set, build(), false), run(set, build(), true));
        assert_eq!((&one[..], &several[..]), (together, alone), "{what}");
        assert!(joined == apart, "{what} on {set:?}");
    }
}

fn parameter(g: &mut Graph, name: &str, shape: &[usize]) -> ValueId {
    g.parameter(name, shape, Init::Uniform { bound: 1.0 }).unwrap()
}

/// A bias and an activation behind something.
fn behind(mut graph: Graph, y: ValueId, activation: Activation) -> Built {
    let channels = graph.shape(y).extents()[1];
    let b = parameter(&mut graph, "bias", &[channels]);
    let biased = graph.bias(y, b).unwrap();
    let made = graph.activate(biased, activation).unwrap();
    Built { graph, made, between: vec![y, biased] }
}

#[test]
fn a_convolution_with_its_bias_is_the_same_to_the_bit() {
    for (x, w, [stride, padding, groups]) in CONVOLUTIONS {
        let build = || {
            let mut g = Graph::new();
            let (x, w) = (parameter(&mut g, "x", &x), parameter(&mut g, "w", &w));
            let y = g.apply_one(of(stride, padding, groups), &[x, w]).unwrap();
            behind(g, y, Activation::Silu)
        };
        compare_bits(&format!("{x:?} with {w:?}"), &build, &["convolution"], &["convolution", "bias", "silu"]);
    }
}

#[test]
fn a_product_with_its_bias_is_the_same_to_the_bit() {
    for ([m, n, k], product) in
        [[64, 10, 84], [33, 40, 17], [70, 68, 36]].into_iter().flat_map(|mnk| [(mnk, LINEAR), (mnk, MatMul::default())])
    {
        let build = || {
            let mut g = Graph::new();
            let sides = if product.transpose_b { [n, k] } else { [k, n] };
            let (a, b) = (parameter(&mut g, "a", &[m, k]), parameter(&mut g, "b", &sides));
            let y = g.apply_one(product, &[a, b]).unwrap();
            behind(g, y, Activation::Relu)
        };
        let what = format!("{m}×{n}×{k}, {product:?}");
        compare_bits(&what, &build, &["matrix product"], &["matrix product", "bias", "relu"]);
    }
}

#[test]
fn max_pooling_with_a_rectifier_is_the_same_to_the_bit() {
    let build = || {
        let mut graph = Graph::new();
        let x = parameter(&mut graph, "x", &[2, 3, 9, 8]);
        let y = graph.max_pool(x, 2).unwrap();
        let made = graph.relu(y).unwrap();
        Built { graph, made, between: vec![y] }
    };
    compare_bits("max pooling", &build, &["max pooling"], &["max pooling", "relu"]);
}

#[test]
fn a_bias_of_another_shape_stays_apart() {
    let mut g = Graph::new();
    let (x, w) = (parameter(&mut g, "x", &[2, 3, 4, 4]), parameter(&mut g, "w", &[5, 3, 1, 1]));
    for (name, shape) in [("one", vec![1]), ("each", vec![2, 5])] {
        let b = parameter(&mut g, name, &shape);
        let y = g.conv2d(x, w, [1, 1], [0, 0]).unwrap();
        let y = g.bias(y, b).unwrap();
        g.mark_metric(y);
    }
    let plan = Plan::new(g, &Policy::raw(), PlanOptions::unlimited(KernelSet::Tiles)).unwrap();
    let names: Vec<_> = plan.graph.nodes().iter().map(|node| node.operator.name()).collect();
    assert_eq!(names, ["convolution", "bias", "convolution", "bias"]);
}
