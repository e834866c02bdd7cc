//! Convolutions, matrix products and max pooling with what comes behind them: a bias, an activation.

use super::activations::{ALL, reference};
use super::common::{Tensor, check, check_product, gpu, options};
use super::convolution::{convolve, convolve_transposed};
use frugal_tensor::graph::{Graph, Init, ValueId};
use frugal_tensor::ops::KernelSet;
use frugal_tensor::ops::activation::Activation;
use frugal_tensor::ops::conv2d::{Conv2d, ConvTranspose2d};
use frugal_tensor::ops::matmul::MatMul;
use frugal_tensor::{Plan, Policy, Session};

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
const CONVOLUTIONS: [([usize; 4], [usize; 4], usize, usize, usize); 13] = [
    ([2, 1, 28, 28], [8, 1, 5, 5], 1, 2, 1),
    ([2, 16, 16, 16], [16, 16, 3, 3], 1, 1, 1),
    ([3, 5, 7, 11], [13, 5, 3, 3], 1, 1, 1),
    ([2, 17, 9, 9], [70, 17, 3, 3], 2, 1, 1),
    // One tap: vectors along output channels, and none.
    ([1, 36, 5, 8], [40, 36, 1, 1], 1, 0, 1),
    ([2, 20, 1, 1], [19, 20, 1, 1], 1, 0, 1),
    // Groups.
    ([1, 12, 7, 9], [30, 4, 3, 3], 1, 1, 3),
    ([2, 16, 6, 6], [40, 8, 1, 1], 1, 0, 2),
    // A channel for itself, with two filters, and without vectors.
    ([2, 8, 12, 16], [8, 1, 3, 3], 1, 1, 8),
    ([1, 3, 7, 9], [6, 1, 3, 3], 2, 1, 3),
    // Implicit products everywhere.
    ([1, 2, 21, 19], [4, 2, 11, 11], 2, 4, 1),
    ([1, 4, 21, 19], [6, 2, 11, 11], 2, 4, 2),
    ([1, 1, 1, 1], [1, 1, 1, 1], 1, 0, 1),
];

#[test]
fn convolution_and_bias() {
    for (x, w, stride, padding, groups) in CONVOLUTIONS {
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

/// Each activation behind each of them, with and without a bias between.
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
            check(
                &format!("{activation:?} behind a convolution, {parameters} parameters"),
                vec![Tensor::random(&x, 1)],
                [Tensor::random(&w, 2), Tensor::random(&[9], 3)][..parameters].to_vec(),
                &|g, v| {
                    let y = g.apply_one(convolution, &v[..2])?;
                    then(g, y, v.get(2))
                },
                &|t| after(convolve(t, convolution), t.get(2)),
            );
            check(
                &format!("{activation:?} behind a product, {parameters} parameters"),
                vec![Tensor::random(&a, 1)],
                [Tensor::random(&b, 2), Tensor::random(&[20], 3)][..parameters].to_vec(),
                &|g, v| {
                    let y = g.linear(v[0], v[1])?;
                    then(g, y, v.get(2))
                },
                &|t| after(linear(t), t.get(2)),
            );
        }
    }
}

/// What a graph makes, in bits, and its nodes; `apart`: with every value between them read back, so that nothing is done on
/// the way.
fn run(
    set: KernelSet,
    build: &dyn Fn(&mut Graph, &mut dyn FnMut(&mut Graph, ValueId) -> ValueId) -> ValueId,
    apart: bool,
) -> (Vec<u32>, Vec<&'static str>) {
    let gpu = gpu();
    let mut graph = Graph::new();
    let mut between = |g: &mut Graph, value: ValueId| {
        if apart {
            g.mark_metric(value);
        }
        value
    };
    let y = build(&mut graph, &mut between);
    graph.mark_metric(y);
    let plan = Plan::new(graph, &Policy::raw(), options(&gpu, set)).unwrap();
    let names = plan.graph.nodes().iter().map(|node| node.operator.name()).collect();
    let mut session = Session::new(gpu, vec![plan], 7).unwrap();
    session.step(0, &[]).unwrap();
    session.finished().unwrap();
    (session.read_value(0, y).unwrap(), names)
}

fn parameter(g: &mut Graph, name: &str, shape: &[usize]) -> ValueId {
    g.parameter(name, shape, Init::Uniform { bound: 1.0 }).unwrap()
}

/// One node does what several do, and the results are the same to the bit.
#[test]
fn what_is_done_in_one_pass_is_the_same_to_the_bit() {
    for set in [KernelSet::Tiles, KernelSet::Registers] {
        for (x, w, stride, padding, groups) in CONVOLUTIONS {
            let build = |g: &mut Graph, between: &mut dyn FnMut(&mut Graph, ValueId) -> ValueId| {
                let (x, weights) = (parameter(g, "x", &x), parameter(g, "w", &w));
                let y = g.apply_one(of(stride, padding, groups), &[x, weights]).unwrap();
                let y = between(g, y);
                let b = parameter(g, "b", &w[..1]);
                let y = g.bias(y, b).unwrap();
                let y = between(g, y);
                g.activate(y, Activation::Silu).unwrap()
            };
            let ((together, one), (alone, three)) = (run(set, &build, false), run(set, &build, true));
            assert_eq!((one, three), (vec!["convolution"], vec!["convolution", "bias", "silu"]));
            assert!(together == alone, "{x:?} with {w:?} on {set:?}");
        }
        for [m, n, k] in [[64, 10, 84], [33, 40, 17], [70, 68, 36]] {
            for product in [LINEAR, MatMul::default()] {
                let build = |g: &mut Graph, between: &mut dyn FnMut(&mut Graph, ValueId) -> ValueId| {
                    let sides = if product.transpose_b { [n, k] } else { [k, n] };
                    let (a, b) = (parameter(g, "a", &[m, k]), parameter(g, "b", &sides));
                    let y = g.apply_one(product, &[a, b]).unwrap();
                    let y = between(g, y);
                    let bias = parameter(g, "bias", &[n]);
                    let y = g.bias(y, bias).unwrap();
                    let y = between(g, y);
                    g.relu(y).unwrap()
                };
                let ((together, one), (alone, three)) = (run(set, &build, false), run(set, &build, true));
                assert_eq!((one, three), (vec!["matrix product"], vec!["matrix product", "bias", "relu"]));
                assert!(together == alone, "{m}×{n}×{k}, {product:?} on {set:?}");
            }
        }
    }
}
