//! Pooling.

use frugal_tensor::ir::{Element, Graph, Init};
use frugal_tensor::ops::pool::{AveragePool, MaxPool, Windows};
use frugal_testkit::{Tensor, check};

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
        ([2, 5, 8, 6], [3, 3], [2, 2], [1, 1]),
        ([1, 9, 5, 5], [2, 2], [1, 1], [0, 0]),
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
    let x = graph.input("x", [2, 3, 6, 6], frugal_tensor::ir::Element::F32);
    assert_eq!(graph.adaptive_average_pool(x, [6, 6]).unwrap(), x, "the identity is no operator");
}
