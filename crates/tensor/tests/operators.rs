//! Every operator, forward and gradient, on every kernel set, against f64 references.

mod common;

use common::{Build, Case, Tensor, gpu};
use frugal_tensor::graph::{Element, Graph, GraphError, Init, ValueId};
use frugal_tensor::ops::batch_norm::{BatchNorm, BatchNormInference};
use frugal_tensor::ops::conv2d::Conv2d;
use frugal_tensor::ops::dropout::Dropout;
use frugal_tensor::ops::matmul::MatMul;
use frugal_tensor::ops::pool::{AveragePool, MaxPool, Windows};
use frugal_tensor::{Plan, Policy, Session};

fn check(
    name: &str,
    activations: Vec<Tensor>,
    parameters: Vec<Tensor>,
    build: Build,
    reference: &dyn Fn(&[Tensor]) -> Tensor,
) {
    let case = Case { name: name.into(), activations, parameters, build, reference, samples: 24, tolerance: 2e-5 };
    case.check(&gpu());
}

fn map2(a: &Tensor, f: impl Fn(usize, f64) -> f64) -> Tensor {
    Tensor::new(&a.shape, a.data.iter().enumerate().map(|(i, &x)| f(i, x)).collect())
}

fn convolve(t: &[Tensor], convolution: Conv2d) -> Tensor {
    let Conv2d { stride, padding, more_padding, dilation, groups } = convolution;
    let [n, c, h, w] = t[0].nchw();
    let [k, c_group, r, s] = t[1].nchw();
    let oh = (h + 2 * padding[0] + more_padding[0] - dilation[0] * (r - 1) - 1) / stride[0] + 1;
    let ow = (w + 2 * padding[1] + more_padding[1] - dilation[1] * (s - 1) - 1) / stride[1] + 1;
    Tensor::from_fn(&[n, k, oh, ow], |i| {
        let (ox, oy, f, b) = (i % ow, i / ow % oh, i / (ow * oh) % k, i / (ow * oh * k));
        let first = f / (k / groups) * c_group;
        let mut sum = 0.0;
        for ch in 0..c_group {
            for dy in 0..r {
                for dx in 0..s {
                    let (y, x) = (oy * stride[0] + dy * dilation[0], ox * stride[1] + dx * dilation[1]);
                    if y >= padding[0] && x >= padding[1] && y - padding[0] < h && x - padding[1] < w {
                        let at = ((b * c + first + ch) * h + y - padding[0]) * w + x - padding[1];
                        sum += t[0].data[at] * t[1].data[((f * c_group + ch) * r + dy) * s + dx];
                    }
                }
            }
        }
        sum
    })
}

/// Scatters instead of gathering: another way to the same numbers than the kernels take.
fn convolve_transposed(t: &[Tensor], convolution: Conv2d, output_padding: [usize; 2]) -> Tensor {
    let Conv2d { stride, padding, dilation, groups, .. } = convolution;
    let [n, c, h, w] = t[0].nchw();
    let [_, k_group, r, s] = t[1].nchw();
    let k = k_group * groups;
    let reach = |axis: usize, size: usize, kernel: usize| (size - 1) * stride[axis] + dilation[axis] * (kernel - 1) + 1;
    let extent = |axis, size, kernel| reach(axis, size, kernel) + output_padding[axis] - 2 * padding[axis];
    let (oh, ow) = (extent(0, h, r), extent(1, w, s));
    let mut y = Tensor::new(&[n, k, oh, ow], vec![0.0; n * k * oh * ow]);
    for (i, x) in t[0].data.iter().enumerate() {
        let (ix, iy, ch, b) = (i % w, i / w % h, i / (w * h) % c, i / (w * h * c));
        for f in 0..k_group {
            for dy in 0..r {
                for dx in 0..s {
                    let (oy, ox) = (iy * stride[0] + dy * dilation[0], ix * stride[1] + dx * dilation[1]);
                    if oy >= padding[0] && ox >= padding[1] && oy - padding[0] < oh && ox - padding[1] < ow {
                        let plane = b * k + ch / (c / groups) * k_group + f;
                        let at = (plane * oh + oy - padding[0]) * ow + ox - padding[1];
                        y.data[at] += x * t[1].data[((ch * k_group + f) * r + dy) * s + dx];
                    }
                }
            }
        }
    }
    y
}

fn check_convolution([n, c, h, w]: [usize; 4], [k, r, s]: [usize; 3], convolution: Conv2d) {
    check(
        &format!("{n}×{c}×{h}×{w} with {k}×{r}×{s}, {convolution:?}"),
        vec![Tensor::random(&[n, c, h, w], 1)],
        vec![Tensor::random(&[k, c / convolution.groups, r, s], 2)],
        &|g, v| g.apply_one(convolution, v),
        &|t| convolve(t, convolution),
    );
}

/// Input N×C×H×W, kernel K×R×S, stride, padding.
type Shapes = ([usize; 4], [usize; 3], [usize; 2], [usize; 2]);

#[test]
fn convolution() {
    let cases: [Shapes; 16] = [
        ([2, 3, 8, 8], [16, 3, 3], [1, 1], [1, 1]),
        ([1, 1, 1, 1], [1, 1, 1], [1, 1], [0, 0]),
        ([3, 5, 7, 11], [13, 3, 3], [1, 1], [1, 1]),
        ([2, 16, 16, 16], [16, 3, 3], [1, 1], [1, 1]),
        ([2, 17, 9, 9], [70, 3, 3], [1, 1], [1, 1]),
        ([2, 4, 8, 8], [9, 3, 3], [2, 2], [1, 1]),
        ([1, 3, 9, 7], [5, 3, 3], [2, 2], [1, 1]),
        ([2, 4, 7, 8], [8, 1, 1], [2, 2], [0, 0]),
        ([3, 4, 5, 6], [8, 1, 1], [1, 1], [0, 0]),
        ([2, 1, 28, 28], [8, 5, 5], [1, 1], [2, 2]),
        ([2, 8, 14, 14], [16, 5, 5], [1, 1], [2, 2]),
        ([1, 2, 13, 17], [3, 5, 3], [2, 1], [0, 1]),
        ([1, 3, 23, 23], [4, 11, 11], [4, 4], [2, 2]),
        ([1, 2, 6, 6], [3, 2, 4], [3, 2], [1, 3]),
        ([5, 2, 3, 3], [2, 3, 3], [1, 1], [2, 2]),
        ([1, 2, 40, 3], [33, 3, 1], [1, 1], [1, 0]),
    ];
    for (input, kernel, stride, padding) in cases {
        check_convolution(input, kernel, Conv2d { stride, padding, ..Conv2d::default() });
    }
}

#[test]
fn dilated_convolution() {
    let cases: [(Shapes, [usize; 2]); 9] = [
        (([2, 3, 8, 8], [16, 3, 3], [1, 1], [2, 2]), [2, 2]),
        (([2, 5, 9, 13], [9, 3, 3], [1, 1], [1, 1]), [2, 2]),
        (([1, 3, 16, 16], [10, 3, 3], [2, 2], [2, 2]), [2, 2]),
        (([1, 2, 15, 14], [5, 3, 2], [3, 1], [0, 4]), [1, 3]),
        (([2, 2, 7, 7], [3, 5, 5], [1, 1], [8, 8]), [4, 4]),
        (([1, 2, 21, 19], [4, 3, 3], [1, 1], [6, 6]), [6, 6]),
        (([1, 1, 5, 5], [2, 2, 2], [2, 2], [5, 5]), [3, 3]),
        (([1, 2, 12, 12], [3, 3, 3], [4, 4], [3, 3]), [2, 2]),
        (([2, 2, 6, 5], [3, 1, 1], [1, 1], [1, 1]), [5, 5]),
    ];
    for ((input, kernel, stride, padding), dilation) in cases {
        check_convolution(input, kernel, Conv2d { stride, padding, dilation, ..Conv2d::default() });
    }
}

#[test]
fn grouped_convolution() {
    let cases: [(Shapes, [usize; 2], usize); 8] = [
        (([2, 6, 8, 8], [4, 3, 3], [1, 1], [1, 1]), [1, 1], 2),
        (([1, 12, 7, 9], [30, 3, 3], [2, 2], [1, 1]), [1, 1], 3),
        (([2, 40, 6, 6], [40, 3, 3], [1, 1], [1, 1]), [1, 1], 2),
        (([2, 8, 5, 4], [12, 1, 1], [1, 1], [0, 0]), [1, 1], 4),
        (([1, 4, 11, 11], [6, 3, 3], [1, 1], [4, 4]), [3, 3], 2),
        (([1, 6, 10, 13], [9, 3, 2], [2, 3], [5, 0]), [2, 1], 3),
        // More filters than channels of a group, and a padding beyond the kernel.
        (([3, 4, 5, 5], [34, 3, 3], [1, 1], [4, 4]), [1, 1], 2),
        (([1, 10, 16, 8], [5, 3, 3], [2, 2], [1, 1]), [1, 1], 5),
    ];
    for ((input, kernel, stride, padding), dilation, groups) in cases {
        check_convolution(input, kernel, Conv2d { stride, padding, dilation, groups, ..Conv2d::default() });
    }
}

#[test]
fn depthwise_convolution() {
    let cases: [(Shapes, [usize; 2]); 23] = [
        (([2, 8, 8, 8], [8, 3, 3], [1, 1], [1, 1]), [1, 1]),
        (([2, 3, 16, 32], [3, 3, 3], [1, 1], [1, 1]), [1, 1]),
        (([1, 5, 7, 7], [5, 3, 3], [1, 1], [1, 1]), [1, 1]),
        (([3, 2, 14, 14], [2, 3, 3], [2, 2], [1, 1]), [1, 1]),
        (([1, 9, 28, 28], [9, 3, 3], [1, 1], [1, 1]), [1, 1]),
        (([2, 3, 9, 20], [3, 3, 3], [1, 1], [0, 0]), [1, 1]),
        (([2, 9, 16, 16], [9, 3, 3], [2, 2], [1, 1]), [1, 1]),
        (([2, 3, 13, 11], [3, 3, 3], [2, 2], [1, 1]), [1, 1]),
        (([2, 4, 15, 8], [4, 5, 5], [1, 1], [2, 2]), [1, 1]),
        (([2, 4, 16, 16], [4, 5, 5], [2, 2], [2, 2]), [1, 1]),
        (([1, 3, 10, 12], [3, 7, 7], [1, 1], [3, 3]), [1, 1]),
        (([2, 3, 12, 12], [3, 3, 3], [3, 3], [0, 0]), [1, 1]),
        (([2, 3, 12, 12], [3, 2, 2], [4, 4], [1, 1]), [1, 1]),
        (([2, 5, 6, 7], [5, 1, 1], [1, 1], [0, 0]), [1, 1]),
        // Large enough that a GPU's weight gradient is cut into parts.
        (([5, 2, 40, 37], [2, 3, 3], [1, 1], [1, 1]), [1, 1]),
        // Rectangles, more than one filter for a channel, dilation, paddings beyond the kernel.
        (([2, 3, 9, 8], [3, 3, 5], [1, 1], [1, 2]), [1, 1]),
        (([2, 3, 9, 8], [3, 2, 3], [2, 1], [1, 0]), [1, 1]),
        (([2, 3, 8, 8], [6, 3, 3], [1, 1], [1, 1]), [1, 1]),
        (([1, 2, 11, 9], [6, 3, 3], [2, 2], [1, 1]), [1, 1]),
        (([2, 3, 12, 12], [3, 3, 3], [1, 1], [2, 2]), [2, 2]),
        (([1, 2, 17, 16], [2, 3, 3], [2, 2], [2, 2]), [2, 2]),
        (([2, 3, 5, 5], [3, 3, 3], [1, 1], [4, 4]), [1, 1]),
        (([1, 2, 3, 4], [2, 3, 3], [2, 2], [5, 5]), [1, 1]),
    ];
    for ((input, kernel, stride, padding), dilation) in cases {
        check_convolution(input, kernel, Conv2d { stride, padding, dilation, groups: input[1], ..Conv2d::default() });
    }
}

/// TensorFlow's "same" padding: one zero more below and to the right than above and to the left.
#[test]
fn convolution_with_uneven_padding() {
    for (input, kernel, padding, groups) in [
        ([2, 3, 8, 8], [16, 3, 3], 0, 1),
        ([2, 5, 7, 10], [9, 5, 5], 1, 1),
        ([2, 8, 16, 16], [8, 3, 3], 0, 8),
        ([1, 9, 14, 14], [9, 5, 5], 1, 9),
        ([1, 6, 8, 6], [4, 3, 3], 0, 2),
    ] {
        for stride in [1, 2] {
            let (stride, padding, more_padding) = ([stride; 2], [padding; 2], [1, 1]);
            check_convolution(input, kernel, Conv2d { stride, padding, more_padding, groups, ..Conv2d::default() });
        }
    }
}

#[test]
fn transposed_convolution() {
    let cases: [(Shapes, [usize; 2], usize, [usize; 2]); 14] = [
        (([2, 8, 4, 4], [6, 2, 2], [2, 2], [0, 0]), [1, 1], 1, [0, 0]),
        (([2, 9, 8, 8], [3, 3, 3], [1, 1], [1, 1]), [1, 1], 1, [0, 0]),
        (([1, 3, 7, 5], [4, 3, 3], [2, 2], [1, 1]), [1, 1], 1, [1, 1]),
        (([2, 4, 6, 7], [5, 4, 4], [2, 2], [1, 1]), [1, 1], 1, [0, 0]),
        (([1, 2, 5, 5], [3, 3, 3], [3, 3], [0, 0]), [1, 1], 1, [2, 2]),
        (([1, 2, 4, 6], [3, 2, 4], [3, 2], [1, 3]), [1, 1], 1, [2, 0]),
        (([2, 2, 5, 6], [3, 5, 5], [1, 1], [4, 4]), [1, 1], 1, [0, 0]),
        (([1, 1, 1, 1], [1, 1, 1], [1, 1], [0, 0]), [1, 1], 1, [0, 0]),
        (([1, 3, 6, 6], [2, 3, 3], [2, 2], [2, 2]), [2, 2], 1, [1, 1]),
        // Weights are C×K/groups: 4 channels make 6 of two groups, each of its 2.
        (([1, 4, 5, 6], [6, 3, 3], [2, 2], [1, 1]), [1, 1], 2, [1, 1]),
        (([2, 5, 7, 8], [5, 3, 3], [2, 2], [1, 1]), [1, 1], 5, [1, 1]),
        (([2, 3, 8, 8], [3, 4, 4], [2, 2], [1, 1]), [1, 1], 3, [0, 0]),
        (([2, 6, 5, 5], [3, 3, 3], [1, 1], [1, 1]), [1, 1], 3, [0, 0]),
        (([1, 3, 6, 5], [6, 3, 3], [2, 2], [1, 1]), [1, 1], 3, [0, 1]),
    ];
    for (([n, c, h, w], [k, r, s], stride, padding), dilation, groups, output_padding) in cases {
        let convolution = Conv2d { stride, padding, dilation, groups, ..Conv2d::default() };
        check(
            &format!("transposed {n}×{c}×{h}×{w} with {k}×{r}×{s}, {convolution:?}, {output_padding:?}"),
            vec![Tensor::random(&[n, c, h, w], 1)],
            vec![Tensor::random(&[c, k / groups, r, s], 2)],
            &|g, v| g.conv_transpose2d(v[0], v[1], convolution, output_padding),
            &|t| convolve_transposed(t, convolution, output_padding),
        );
    }
}

#[test]
fn matrix_product() {
    for [m, n, k] in [[1, 1, 1], [64, 64, 64], [7, 13, 29], [65, 33, 127], [3, 130, 2], [64, 10, 128]] {
        for transpose_a in [false, true] {
            for transpose_b in [false, true] {
                let a = if transpose_a { [k, m] } else { [m, k] };
                let b = if transpose_b { [n, k] } else { [k, n] };
                check(
                    &format!("matrix product {m}×{n}×{k} {transpose_a} {transpose_b}"),
                    vec![Tensor::random(&a, 1)],
                    vec![Tensor::random(&b, 2)],
                    &|g, v| g.apply_one(MatMul { transpose_a, transpose_b }, v),
                    &|t| {
                        let at = |i: usize, l: usize| t[0].data[if transpose_a { l * m + i } else { i * k + l }];
                        let bt = |l: usize, j: usize| t[1].data[if transpose_b { j * k + l } else { l * n + j }];
                        Tensor::from_fn(&[m, n], |i| (0..k).map(|l| at(i / n, l) * bt(l, i % n)).sum())
                    },
                );
            }
        }
    }
}

#[test]
fn element_wise() {
    for shape in [vec![1, 1], vec![3, 5], vec![2, 3, 4, 4], vec![2, 5, 3, 7], vec![1, 1, 1, 257]] {
        let channels = shape[1];
        let size: usize = shape[2..].iter().product();
        let x = || vec![Tensor::random(&shape, 1)];
        check(&format!("relu {shape:?}"), x(), vec![], &|g, v| g.relu(v[0]), &|t| map2(&t[0], |_, x| x.max(0.0)));
        check(
            &format!("bias {shape:?}"),
            x(),
            vec![Tensor::random(&[channels], 2)],
            &|g, v| g.bias(v[0], v[1]),
            &|t| map2(&t[0], |i, x| x + t[1].data[i / size % channels]),
        );
        check(
            &format!("add {shape:?}"),
            vec![Tensor::random(&shape, 1), Tensor::random(&shape, 2)],
            vec![],
            &|g, v| g.add(v[0], v[1]),
            &|t| map2(&t[0], |i, x| x + t[1].data[i]),
        );
        check(
            &format!("reshape {shape:?}"),
            x(),
            vec![],
            &|g, v| {
                let flat = g.flatten(v[0])?;
                g.relu(flat)
            },
            &|t| Tensor::new(&[shape[0], channels * size], t[0].data.iter().map(|x| x.max(0.0)).collect()),
        );
    }
}

#[test]
fn residual_block_shares_and_sums_gradients() {
    check(
        "relu(x + relu(x))",
        vec![Tensor::random(&[2, 3, 4, 5], 1)],
        vec![],
        &|g, v| {
            let r = g.relu(v[0])?;
            let sum = g.add(v[0], r)?;
            g.relu(sum)
        },
        &|t| map2(&t[0], |_, x| (x + x.max(0.0)).max(0.0)),
    );
}

#[test]
fn batch_norm() {
    for [n, c, h, w] in [[4, 3, 4, 4], [2, 5, 3, 3], [7, 1, 1, 5], [32, 16, 8, 8], [3, 2, 17, 19]] {
        let norm = |t: &[Tensor], epsilon: f64| {
            let count = (n * h * w) as f64;
            let channel = |i: usize| i / (h * w) % c;
            let sum = |ch: usize, f: &dyn Fn(f64) -> f64| {
                let xs = t[0].data.iter().enumerate().filter(|(i, _)| channel(*i) == ch);
                xs.map(|(_, &x)| f(x)).sum::<f64>() / count
            };
            let mean: Vec<f64> = (0..c).map(|ch| sum(ch, &|x| x)).collect();
            let var: Vec<f64> = (0..c).map(|ch| sum(ch, &|x| (x - mean[ch]).powi(2))).collect();
            map2(&t[0], |i, x| {
                let ch = channel(i);
                (x - mean[ch]) / (var[ch] + epsilon).sqrt() * t[1].data[ch] + t[2].data[ch]
            })
        };
        let apply = |g: &mut Graph, v: &[ValueId], offset: f32| {
            let statistic = |g: &mut Graph, name: &str, start: f32| {
                let kind = frugal_tensor::graph::Kind::Statistic;
                let init = Init::Constant(start);
                g.persistent(name, kind, [c], frugal_tensor::graph::Element::F32, init)
            };
            let mean = statistic(g, "running_mean", offset)?;
            let var = statistic(g, "running_var", 2.0)?;
            Ok::<_, GraphError>([v[0], v[1], v[2], mean, var])
        };
        let parameters = || vec![Tensor::random(&[c], 2), Tensor::random(&[c], 3)];
        check(
            &format!("batch norm {n}×{c}×{h}×{w}"),
            vec![Tensor::random(&[n, c, h, w], 1)],
            parameters(),
            &|g, v| {
                let inputs = apply(g, v, 0.0)?;
                g.apply_one(BatchNorm { epsilon: 1e-5, momentum: 0.1 }, &inputs)
            },
            &|t| norm(t, 1e-5),
        );
    }
}

#[test]
fn batch_norm_keeps_running_statistics_for_inference() {
    use frugal_tensor::graph::Element;
    use frugal_tensor::ops::batch_norm::BatchNormState;
    use frugal_tensor::{Plan, Policy, Session};
    let gpu = gpu();
    let x = Tensor::random(&[5, 2, 3, 3], 4);
    let mut training = Graph::new();
    let input = training.input("x", x.shape.as_slice(), Element::F32);
    let state = BatchNormState::new(&mut training, 2).unwrap();
    training.apply(BatchNorm { epsilon: 1e-5, momentum: 0.1 }, &state.inputs(input)).unwrap();
    training.settle().unwrap();
    let mut inference = Graph::new();
    let input = inference.input("x", x.shape.as_slice(), Element::F32);
    let state = BatchNormState::new(&mut inference, 2).unwrap();
    let y = inference.apply_one(BatchNormInference { epsilon: 1e-5 }, &state.inputs(input)).unwrap();
    inference.mark_metric(y);
    let plan = Plan::new(training, &Policy::raw(), gpu.plan_options()).unwrap();
    let beside = plan.beside(inference).unwrap();
    let mut session = Session::new(gpu, vec![plan, beside], 0).unwrap();
    session.write("running_mean", &[0.5, -0.25]).unwrap();
    let data = x.f32();
    session.step(0, &[bytemuck::cast_slice(&data)]).unwrap();
    session.step(1, &[bytemuck::cast_slice(&data)]).unwrap();
    let metrics = session.finished().unwrap().pop().unwrap();
    let wanted_mean: Vec<f64> = (0..2)
        .map(|c| {
            let xs: Vec<f64> = x.data.iter().enumerate().filter(|(i, _)| i / 9 % 2 == c).map(|(_, &x)| x).collect();
            let mean = xs.iter().sum::<f64>() / 45.0;
            [0.5, -0.25][c] + 0.1 * (mean - [0.5, -0.25][c])
        })
        .collect();
    let mean: Vec<f64> = session.read("running_mean").unwrap().into_iter().map(f64::from).collect();
    common::compare("running mean", &mean, &wanted_mean, 1e-6);
    let var: Vec<f64> = session.read("running_var").unwrap().into_iter().map(f64::from).collect();
    let wanted: Vec<f64> =
        x.data.iter().enumerate().map(|(i, x)| (x - mean[i / 9 % 2]) / (var[i / 9 % 2] + 1e-5).sqrt()).collect();
    let got: Vec<f64> = (0..metrics.words.len()).map(|i| f64::from(metrics.f32(i))).collect();
    common::compare("inference", &got, &wanted, 1e-5);
}

#[test]
fn pooling() {
    for (shape, kernel, stride, padding) in [
        ([2, 3, 8, 8], [2, 2], [2, 2], [0, 0]),
        ([1, 2, 7, 9], [2, 2], [2, 2], [0, 0]),
        ([2, 2, 9, 9], [3, 3], [2, 2], [1, 1]),
        ([1, 3, 5, 6], [3, 2], [1, 1], [1, 0]),
        ([1, 1, 3, 3], [1, 1], [2, 2], [0, 0]),
        ([2, 2, 10, 11], [2, 3], [3, 4], [0, 0]),
        ([1, 2, 11, 11], [5, 5], [3, 3], [2, 2]),
    ] {
        let [n, c, h, w] = shape;
        let oh = (h + 2 * padding[0] - kernel[0]) / stride[0] + 1;
        let ow = (w + 2 * padding[1] - kernel[1]) / stride[1] + 1;
        check(
            &format!("max pooling {shape:?} {kernel:?} {stride:?} {padding:?}"),
            vec![Tensor::random(&shape, 1)],
            vec![],
            &|g, v| g.apply_one(MaxPool { kernel, stride, padding }, v),
            &|t| {
                Tensor::from_fn(&[n, c, oh, ow], |i| {
                    let (ox, oy, plane) = (i % ow, i / ow % oh, i / (ow * oh));
                    let mut best = f64::NEG_INFINITY;
                    for r in 0..kernel[0] {
                        for s in 0..kernel[1] {
                            let (y, x) = (oy * stride[0] + r, ox * stride[1] + s);
                            if y >= padding[0] && x >= padding[1] && y - padding[0] < h && x - padding[1] < w {
                                best = best.max(t[0].data[(plane * h + y - padding[0]) * w + x - padding[1]]);
                            }
                        }
                    }
                    best
                })
            },
        );
    }
    for [n, c, h, w] in [[2, 3, 8, 8], [1, 5, 7, 3], [3, 1, 1, 1]] {
        check(
            &format!("global average pooling {n}×{c}×{h}×{w}"),
            vec![Tensor::random(&[n, c, h, w], 1)],
            vec![],
            &|g, v| g.global_average_pool(v[0]),
            &|t| {
                let size = h * w;
                Tensor::from_fn(&[n, c], |i| t[0].data[i * size..(i + 1) * size].iter().sum::<f64>() / size as f64)
            },
        );
    }
}

/// Pooling comes first where that changes nothing, and where somebody else reads what is rectified it does not.
#[test]
fn rectifying_before_pooling() {
    let pool = |t: &[Tensor], [n, c, h, w]: [usize; 4]| {
        Tensor::from_fn(&[n, c, h / 2, w / 2], |i| {
            let (x, y, plane) = (i % (w / 2), i / (w / 2) % (h / 2), i / (w / 2 * (h / 2)));
            let at = |r, s| t[0].data[(plane * h + 2 * y + r) * w + 2 * x + s];
            at(0, 0).max(at(0, 1)).max(at(1, 0)).max(at(1, 1)).max(0.0)
        })
    };
    let shape = [2, 3, 6, 8];
    check(
        "pooled alone",
        vec![Tensor::random(&shape, 1)],
        vec![],
        &|g, v| {
            let y = g.relu(v[0])?;
            g.max_pool(y, 2)
        },
        &|t| pool(t, shape),
    );
    check(
        "read twice",
        vec![Tensor::random(&shape, 1)],
        vec![],
        &|g, v| {
            let y = g.relu(v[0])?;
            let (mean, pooled) = (g.global_average_pool(y)?, g.max_pool(y, 2)?);
            let pooled = g.global_average_pool(pooled)?;
            g.add(mean, pooled)
        },
        &|t| {
            let pooled = pool(t, shape);
            let mean = |t: &Tensor, size: usize, i: usize, f: fn(f64) -> f64| {
                t.data[i * size..(i + 1) * size].iter().map(|&x| f(x)).sum::<f64>() / size as f64
            };
            Tensor::from_fn(&[2, 3], |i| mean(&t[0], 48, i, |x| x.max(0.0)) + mean(&pooled, 12, i, |x| x))
        },
    );
    let order = |twice: bool| {
        let mut g = Graph::new();
        let x = g.parameter("x", shape, Init::Constant(1.0)).unwrap();
        let y = g.relu(x).unwrap();
        let pooled = g.max_pool(y, 2).unwrap();
        let mut out = g.global_average_pool(pooled).unwrap();
        if twice {
            let mean = g.global_average_pool(y).unwrap();
            out = g.add(out, mean).unwrap();
        }
        let arriving = g.input("arriving", [2, 3], Element::F32);
        g.differentiate(&[(out, Some(arriving))]).unwrap();
        g.nodes().iter().take(2).map(|node| node.operator.name()).collect::<Vec<_>>()
    };
    assert_eq!(order(false), ["max pooling", "relu"]);
    assert_eq!(order(true), ["relu", "max pooling"]);
}

/// The mean of each window, from its first to before its last element on each axis; those in the padding count as zeros.
fn average(x: &Tensor, out: [usize; 2], window: &dyn Fn(usize, usize) -> (isize, isize)) -> Tensor {
    let [n, c, h, w] = x.nchw();
    Tensor::from_fn(&[n, c, out[0], out[1]], |i| {
        let (ox, oy, plane) = (i % out[1], i / out[1] % out[0], i / (out[0] * out[1]));
        let ((y0, y1), (x0, x1)) = (window(0, oy), window(1, ox));
        let mut sum = 0.0;
        for y in y0.max(0)..y1.min(h as isize) {
            for column in x0.max(0)..x1.min(w as isize) {
                sum += x.data[(plane * h + y as usize) * w + column as usize];
            }
        }
        sum / ((y1 - y0) * (x1 - x0)) as f64
    })
}

#[test]
fn average_pooling() {
    for (shape, kernel, stride, padding) in [
        ([2, 3, 8, 8], [2, 2], [2, 2], [0, 0]),
        ([1, 2, 7, 9], [2, 2], [2, 2], [0, 0]),
        ([2, 2, 9, 9], [3, 3], [2, 2], [1, 1]),
        ([1, 3, 5, 6], [3, 2], [1, 1], [1, 0]),
        ([1, 1, 3, 3], [1, 1], [2, 2], [0, 0]),
        ([2, 2, 10, 11], [2, 3], [3, 4], [0, 0]),
        ([1, 2, 11, 11], [5, 4], [3, 3], [2, 2]),
        ([1, 70, 3, 3], [3, 3], [1, 1], [0, 0]),
    ] {
        let extent = |axis: usize| (shape[2 + axis] + 2 * padding[axis] - kernel[axis]) / stride[axis] + 1;
        let windows = Windows { kernel, stride, padding };
        let window = |axis: usize, o: usize| {
            let start = (o * stride[axis]) as isize - padding[axis] as isize;
            (start, start + kernel[axis] as isize)
        };
        check(
            &format!("average pooling {shape:?} {windows:?}"),
            vec![Tensor::random(&shape, 1)],
            vec![],
            &|g, v| g.apply_one(AveragePool::Sliding(windows), v),
            &|t| average(&t[0], [extent(0), extent(1)], &window),
        );
    }
    for (shape, out) in [
        ([2, 3, 8, 8], [6, 6]),
        ([1, 2, 1, 1], [7, 7]),
        ([1, 2, 13, 5], [6, 7]),
        ([2, 2, 14, 14], [7, 7]),
        ([1, 3, 7, 9], [1, 1]),
    ] {
        let window = |axis: usize, o: usize| {
            let (inputs, outputs) = (shape[2 + axis], out[axis]);
            ((o * inputs / outputs) as isize, ((o + 1) * inputs).div_ceil(outputs) as isize)
        };
        check(
            &format!("adaptive average pooling {shape:?} to {out:?}"),
            vec![Tensor::random(&shape, 1)],
            vec![],
            &|g, v| g.adaptive_average_pool(v[0], out),
            &|t| average(&t[0], out, &window),
        );
    }
    let mut graph = Graph::new();
    let x = graph.input("x", [2, 3, 6, 6], frugal_tensor::graph::Element::F32);
    assert_eq!(graph.adaptive_average_pool(x, [6, 6]).unwrap(), x, "the identity is no operator");
}

#[test]
fn concatenation() {
    for (channels, rest) in [
        (vec![1, 1], vec![1, 1]),
        (vec![3, 5], vec![3, 3]),
        (vec![4, 8, 2], vec![4, 4]),
        (vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10], vec![2, 5]),
        (vec![7, 300], vec![]),
        (vec![20, 3], vec![17, 16]),
    ] {
        let shape = |c: usize| [vec![3, c], rest.clone()].concat();
        let total = channels.iter().sum::<usize>();
        let size: usize = rest.iter().product();
        let parts = |seed: u64| {
            let parts = channels.iter().enumerate();
            parts.map(|(i, &c)| Tensor::random(&shape(c), seed + i as u64)).collect::<Vec<_>>()
        };
        let joined = |t: &[Tensor]| {
            Tensor::from_fn(&shape(total), |i| {
                let (sample, mut channel, at) = (i / (total * size), i / size % total, i % size);
                for (part, &c) in t.iter().zip(&channels) {
                    if channel < c {
                        return part.data[(sample * c + channel) * size + at];
                    }
                    channel -= c;
                }
                unreachable!()
            })
        };
        check(&format!("concatenation {channels:?} {rest:?}"), parts(1), vec![], &|g, v| g.concat(v), &joined);
        if rest.len() == 2 {
            // The convolution keeps its input, which is put together again from its parts.
            check(
                &format!("convolution of a concatenation {channels:?} {rest:?}"),
                parts(1),
                vec![Tensor::random(&[2, total, 1, 1], 50)],
                &|g, v| {
                    let (w, parts) = v.split_last().unwrap();
                    let x = g.concat(parts)?;
                    g.conv2d(x, *w, [1, 1], [0, 0])
                },
                &|t| {
                    let (w, parts) = t.split_last().unwrap();
                    convolve(&[joined(parts), w.clone()], Conv2d::default())
                },
            );
        }
    }
    let mut graph = Graph::new();
    let x = graph.input("x", [2, 3, 4, 4], frugal_tensor::graph::Element::F32);
    let z = graph.input("z", [2, 3, 4, 5], frugal_tensor::graph::Element::F32);
    assert!(graph.concat(&[x, z]).is_err());
}

#[test]
fn dropout() {
    use frugal_tensor::random::{Stream, unit};
    let stream = 77;
    let numbers = Stream::of_step(stream, common::STEP[1], common::STEP[0]);
    for (shape, rate) in [([3, 5], 0.5f32), ([7, 300], 0.5), ([2, 64], 0.0), ([1, 1], 0.25), ([40, 513], 0.9)] {
        check(
            &format!("dropout {shape:?} {rate}"),
            vec![Tensor::random(&shape, 1)],
            vec![],
            &|g, v| {
                let control = g.control();
                g.apply_one(Dropout { rate, stream }, &[v[0], control])
            },
            &|t| {
                let stays = |i: usize| unit(numbers.word(i as u32)) >= rate;
                map2(&t[0], |i, x| if stays(i) { x / (1.0 - f64::from(rate)) } else { 0.0 })
            },
        );
    }
}

/// The share that is dropped, that no step, seed or place draws what another draws, and that nothing is kept.
#[test]
fn dropout_draws_anew_and_keeps_nothing() {
    use frugal_tensor::graph::{Element, Init};
    use frugal_tensor::{Plan, Policy, Session};
    let gpu = gpu();
    let elements = 100_000;
    let mut graph = Graph::new();
    let x = graph.parameter("x", [1, elements], Init::Constant(1.0)).unwrap();
    let both = graph.within("net", |g| [g.dropout(x, 0.5).unwrap(), g.dropout(x, 0.5).unwrap()]);
    for y in both {
        graph.mark_metric(y);
    }
    let arriving = graph.input("arriving", [1, elements], Element::F32);
    graph.differentiate(&[(both[0], Some(arriving)), (both[1], Some(arriving))]).unwrap();
    assert!(graph.keeps().is_empty(), "{:?}", graph.keeps());
    let plan = Plan::new(graph, &Policy::raw(), gpu.plan_options()).unwrap();
    let mut session = Session::new(gpu, vec![plan], 0).unwrap();
    let ones = vec![1.0f32; elements];
    let mut masks: Vec<Vec<bool>> = Vec::new();
    for control in [[0u32, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]] {
        session.step(0, &[bytemuck::cast_slice(&control), bytemuck::cast_slice(&ones)]).unwrap();
        let words = session.finished().unwrap().pop().unwrap().words;
        masks.extend(words.chunks(elements).map(|part| part.iter().map(|&w| f32::from_bits(w) == 2.0).collect()));
    }
    for (i, mask) in masks.iter().enumerate() {
        let share = mask.iter().filter(|stays| **stays).count() as f64 / elements as f64;
        assert!((share - 0.5).abs() < 0.01, "mask {i}: {share} stay");
        for (j, other) in masks[..i].iter().enumerate() {
            let equal = mask.iter().zip(other).filter(|(a, b)| a == b).count() as f64 / elements as f64;
            assert!((equal - 0.5).abs() < 0.01, "masks {j} and {i}: {equal} equal");
        }
    }
}

/// More than 65,535 workgroups in a row: the grid is folded.
#[test]
fn grids_beyond_one_dimension() {
    let elements = 64 * 4 * 65_535 + 1_000;
    let case = Case {
        name: "relu and bias of a long value".into(),
        activations: vec![Tensor::random(&[1, elements], 1)],
        parameters: vec![],
        build: &|g, v| g.relu(v[0]),
        reference: &|t| map2(&t[0], |_, x| x.max(0.0)),
        samples: 3,
        tolerance: 1e-6,
    };
    case.check(&gpu());
}

#[test]
fn misfits_name_layer_and_shapes() {
    let mut graph = Graph::new();
    let x = graph.input("x", [2, 3, 8, 8], frugal_tensor::graph::Element::F32);
    let w = graph.parameter("w", [4, 5, 3, 3], Init::Constant(0.0)).unwrap();
    let error = graph.within("features.0", |g| g.conv2d(x, w, [1, 1], [1, 1])).unwrap_err();
    let text = error.to_string();
    for part in ["features.0", "2×3×8×8", "4×5×3×3", "3 channels"] {
        assert!(text.contains(part), "{text}");
    }
    let mut misfit = |w: [usize; 4], convolution: Conv2d, output_padding: Option<usize>, wanted: &str| {
        let w = graph.input("w", w, Element::F32);
        let result = match output_padding {
            None => graph.apply_one(convolution, &[x, w]),
            Some(rest) => graph.conv_transpose2d(x, w, convolution, [rest; 2]),
        };
        let text = result.unwrap_err().to_string();
        assert!(text.contains(wanted), "{text}");
    };
    let of =
        |groups, stride, dilation| Conv2d { groups, stride: [stride; 2], dilation: [dilation; 2], ..Conv2d::default() };
    misfit([4, 2, 3, 3], of(2, 1, 1), None, "the weights 2 for each of 2 groups");
    misfit([4, 1, 3, 3], of(3, 1, 1), None, "4 filters do not divide into 3 groups");
    misfit([4, 3, 3, 3], of(0, 1, 1), None, "at least one group");
    misfit([4, 3, 3, 3], of(1, 0, 1), None, "stride");
    misfit([4, 3, 3, 3], of(1, 1, 0), None, "dilation");
    misfit([4, 3, 3, 3], of(1, 1, 4), None, "does not fit");
    misfit([4, 3, 3, 3], of(1, 1, 1), Some(0), "the weights 4");
    misfit([3, 4, 3, 3], of(1, 2, 1), Some(2), "output padding");
    misfit([3, 4, 1, 1], Conv2d { padding: [4; 2], ..Conv2d::default() }, Some(0), "leaves nothing");
    misfit([3, 4, 3, 3], of(2, 1, 1), Some(0), "groups");
}

/// The loss, on its own because it starts a backward pass: hard labels, masked samples, logits far apart.
#[test]
fn cross_entropy() {
    use common::{SETS, compare, options};
    use frugal_tensor::graph::{Element, Init};
    use frugal_tensor::{Plan, Policy, Session};
    let gpu = gpu();
    for (samples, classes, scale) in [(1, 1, 1.0), (7, 3, 1.0), (64, 10, 1.0), (130, 41, 50.0), (5, 1000, 1.0)] {
        let logits = Tensor::random(&[samples, classes], 1);
        let logits = map2(&logits, |_, x| f64::from((x * scale) as f32));
        let labels: Vec<u32> = (0..samples).map(|n| (n * 7 % classes) as u32).collect();
        let mask: Vec<f32> = (0..samples).map(|n| if n % 5 == 3 { 0.0 } else { 1.0 }).collect();
        let counted = mask.iter().filter(|m| **m > 0.0).count() as f64;
        let softmax: Vec<f64> = logits
            .data
            .chunks(classes)
            .flat_map(|row| {
                let most = row.iter().copied().fold(f64::MIN, f64::max);
                let sum: f64 = row.iter().map(|x| (x - most).exp()).sum();
                row.iter().map(move |x| (x - most).exp() / sum).collect::<Vec<_>>()
            })
            .collect();
        let hit = |i: usize| f64::from(u8::from(i % classes == labels[i / classes] as usize));
        let weight = |n: usize| f64::from(mask[n]) / counted;
        let wanted: Vec<f64> = softmax.iter().enumerate().map(|(i, p)| weight(i / classes) * (p - hit(i))).collect();
        let loss: f64 =
            (0..samples).map(|n| -weight(n) * softmax[n * classes + labels[n] as usize].max(1e-300).ln()).sum();
        for set in SETS {
            let mut g = Graph::new();
            let x = g.parameter("logits", [samples, classes], Init::Constant(0.0)).unwrap();
            let label_input = g.input("labels", [samples], Element::U32);
            let mask_input = g.input("mask", [samples], Element::F32);
            let y = g.cross_entropy(x, label_input, mask_input).unwrap();
            let gradient = g.differentiate(&[(y, None)]).unwrap()[&x];
            g.mark_metric(gradient);
            let plan = Plan::new(g, &Policy::raw(), options(&gpu, set)).unwrap();
            let mut session = Session::new(gpu.clone(), vec![plan], 0).unwrap();
            session.write("logits", &logits.f32()).unwrap();
            session.step(0, &[bytemuck::cast_slice(&labels), bytemuck::cast_slice(&mask)]).unwrap();
            let done = session.finished().unwrap().pop().unwrap();
            let what = format!("cross-entropy {samples}×{classes} on {set:?}");
            compare(&what, &[f64::from(done.f32(0)), f64::from(done.f32(2))], &[loss, counted], 1e-5);
            let got: Vec<f64> = (4..done.words.len()).map(|i| f64::from(done.f32(i))).collect();
            compare(&format!("{what}: gradient"), &got, &wanted, 1e-5);
        }
    }
}

/// llvmpipe leaves the loops of an invocation after 65,535 iterations without a word: no kernel may need more.
#[test]
fn planes_too_large_for_one_invocation() {
    let gpu = gpu();
    let shape = [1, 2, 600, 601];
    let x: Vec<f32> = (0..2 * 600 * 601).map(|i| (i % 7) as f32 + if i < 600 * 601 { 0.0 } else { 10.0 }).collect();
    for set in common::SETS {
        let mut graph = Graph::new();
        let input = graph.input("x", shape, frugal_tensor::graph::Element::F32);
        let mean = graph.global_average_pool(input).unwrap();
        graph.mark_metric(mean);
        let plan = Plan::new(graph, &Policy::raw(), common::options(&gpu, set)).unwrap();
        let mut session = Session::new(gpu.clone(), vec![plan], 0).unwrap();
        session.step(0, &[bytemuck::cast_slice(&x)]).unwrap();
        let means = session.finished().unwrap().pop().unwrap();
        for (channel, wanted) in [(0, 3.0), (1, 13.0)] {
            assert!((means.f32(channel) - wanted).abs() < 1e-3, "{set:?}: {}, not {wanted}", means.f32(channel));
        }
    }
}
