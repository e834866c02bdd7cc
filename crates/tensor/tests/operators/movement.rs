//! Operators that move, repeat and combine elements, forward and gradient, on every kernel set, against f64 references.

use frugal_tensor::ir::{Element, Graph, Init};
use frugal_tensor::ops::upsample::Upsampling;
use frugal_tensor::random::hash;
use frugal_tensor::{Plan, PlannedSession, Policy};
use frugal_testkit::{SETS, Tensor, check, compare, gpu, options};

const SHAPES: [&[usize]; 6] = [&[1, 1], &[3, 5], &[2, 8, 4, 4], &[2, 5, 3, 7], &[1, 1, 1, 257], &[3, 2, 4]];

#[test]
fn products() {
    for shape in SHAPES {
        check(
            &format!("multiply {shape:?}"),
            vec![Tensor::random(shape, 1), Tensor::random(shape, 2)],
            vec![],
            &|g, v| g.multiply(v[0], v[1]),
            &|t| Tensor::from_fn(shape, |i| t[0].data[i] * t[1].data[i]),
        );
    }
    check("a square", vec![Tensor::random(&[3, 5], 1)], vec![], &|g, v| g.multiply(v[0], v[0]), &|t| {
        Tensor::from_fn(&[3, 5], |i| t[0].data[i] * t[0].data[i])
    });
}

#[test]
fn broadcasts() {
    for shape in SHAPES {
        let (samples, channels) = (shape[0], shape[1]);
        let size: usize = shape[2..].iter().product();
        for few in [vec![1], vec![channels], vec![samples, channels]] {
            let at = |i: usize| match few.len() {
                2 => i / size,
                _ => i / size % channels % few[0],
            };
            for multiply in [false, true] {
                // As a value that another node makes, and as a parameter.
                for parameter in [false, true] {
                    let mut activations = vec![Tensor::random(shape, 1), Tensor::random(&few, 2)];
                    let parameters = if parameter { activations.split_off(1) } else { vec![] };
                    check(
                        &format!("{shape:?} with {few:?}, product: {multiply}, parameter: {parameter}"),
                        activations,
                        parameters,
                        &|g, v| if multiply { g.scale(v[0], v[1]) } else { g.bias(v[0], v[1]) },
                        &|t| {
                            let combined = |x: f64, b: f64| if multiply { x * b } else { x + b };
                            Tensor::from_fn(shape, |i| combined(t[0].data[i], t[1].data[at(i)]))
                        },
                    );
                }
            }
        }
    }
    let mut graph = Graph::new();
    let x = graph.input("x", [2, 3, 4], Element::F32);
    for wrong in [vec![2], vec![3, 2], vec![2, 3, 4]] {
        let b = graph.input("b", wrong.as_slice(), Element::F32);
        assert!(graph.scale(x, b).is_err(), "{wrong:?}");
    }
}

fn strides(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect()
}

/// The indices of element i.
fn indices(shape: &[usize], i: usize) -> Vec<usize> {
    strides(shape).iter().zip(shape).map(|(stride, extent)| i / stride % extent).collect()
}

#[test]
fn slices_and_padding() {
    for (shape, axis, range) in [
        (vec![2, 8, 4, 4], 1, 4..8),
        (vec![2, 5, 3, 7], 1, 1..4),
        (vec![2, 5, 3, 7], 3, 2..7),
        (vec![2, 5, 3, 7], 2, 1..2),
        (vec![2, 3, 5, 12], 3, 4..8),
        (vec![3, 5, 3, 4], 1, 1..3),
        (vec![6, 4], 0, 1..5),
        (vec![6, 4], 1, 0..3),
        (vec![9], 0, 2..4),
        (vec![2, 2, 2, 3, 2, 2], 3, 1..3),
    ] {
        let mut made = shape.clone();
        made[axis] = range.len();
        check(
            &format!("slice {range:?} of axis {axis} of {shape:?}"),
            vec![Tensor::random(&shape, 1)],
            vec![],
            &|g, v| g.slice(v[0], axis, range.clone()),
            &|t| {
                Tensor::from_fn(&made, |i| {
                    let mut at = indices(&made, i);
                    at[axis] += range.start;
                    t[0].data[at.iter().zip(strides(&shape)).map(|(i, stride)| i * stride).sum::<usize>()]
                })
            },
        );
    }
    for (shape, around) in [
        (vec![2, 3, 4, 5], vec![[1, 2], [3, 0]]),
        (vec![2, 3, 4, 4], vec![[2, 2], [0, 0], [0, 0]]),
        (vec![2, 3], vec![[0, 1], [1, 0]]),
        (vec![5], vec![[4, 4]]),
        (vec![2, 2, 3, 2], vec![[1, 0], [0, 1], [1, 1], [2, 0]]),
    ] {
        let first = shape.len() - around.len();
        let before = |axis: usize| if axis < first { 0 } else { around[axis - first][0] };
        let made: Vec<usize> = (0..shape.len())
            .map(|axis| shape[axis] + if axis < first { 0 } else { around[axis - first].iter().sum() })
            .collect();
        check(
            &format!("{shape:?} padded by {around:?}"),
            vec![Tensor::random(&shape, 1)],
            vec![],
            &|g, v| g.pad(v[0], &around),
            &|t| {
                Tensor::from_fn(&made, |i| {
                    let at = indices(&made, i);
                    let inside = (0..shape.len()).all(|a| at[a] >= before(a) && at[a] - before(a) < shape[a]);
                    if !inside {
                        return 0.0;
                    }
                    let places = strides(&shape);
                    t[0].data[(0..shape.len()).map(|a| (at[a] - before(a)) * places[a]).sum::<usize>()]
                })
            },
        );
    }
    let mut graph = Graph::new();
    let x = graph.input("x", [2, 3], Element::F32);
    assert!(graph.slice(x, 1, 2..4).unwrap_err().to_string().contains("2..4"));
    assert!(graph.slice(x, 2, 0..1).is_err());
    assert!(graph.slice(x, 1, 1..1).is_err());
    assert!(graph.pad(x, &[[1, 1]; 3]).is_err());
}

#[test]
fn transposes() {
    for (shape, order) in [
        (vec![3, 5], vec![1, 0]),
        (vec![2, 3, 4], vec![2, 0, 1]),
        (vec![2, 3, 4], vec![0, 2, 1]),
        (vec![2, 3, 4, 5], vec![0, 2, 3, 1]),
        (vec![2, 3, 4, 5], vec![3, 1, 2, 0]),
        (vec![2, 3, 2, 2, 3], vec![0, 3, 4, 1, 2]),
        (vec![64, 130], vec![1, 0]),
        (vec![3, 8, 5], vec![0, 2, 1]),
        (vec![2, 3, 8], vec![1, 0, 2]),
        (vec![2, 3, 5, 8], vec![2, 1, 0, 3]),
        (vec![1, 3, 1, 2, 1, 4], vec![5, 0, 3, 2, 4, 1]),
        (vec![1, 1], vec![1, 0]),
    ] {
        let made: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
        check(
            &format!("transpose {shape:?} to {order:?}"),
            vec![Tensor::random(&shape, 1)],
            vec![],
            &|g, v| g.transpose(v[0], &order),
            &|t| {
                Tensor::from_fn(&made, |i| {
                    let places = strides(&shape);
                    t[0].data[indices(&made, i).iter().zip(&order).map(|(i, &axis)| i * places[axis]).sum::<usize>()]
                })
            },
        );
    }
    let mut graph = Graph::new();
    let x = graph.input("x", [2, 3, 4], Element::F32);
    assert_eq!(graph.transpose(x, &[0, 1, 2]).unwrap(), x, "the identity is no operator");
    for wrong in [vec![0, 1], vec![0, 1, 1], vec![0, 1, 3]] {
        assert!(graph.transpose(x, &wrong).is_err(), "{wrong:?}");
    }
}

/// What output `o` reads on an axis: two elements, and the weight of the second.
fn read(how: Upsampling, o: usize, inputs: usize, outputs: usize) -> (usize, usize, f64) {
    match how {
        Upsampling::Nearest => (o * inputs / outputs, 0, 0.0),
        Upsampling::Bilinear => {
            let position = ((o as f64 + 0.5) * inputs as f64 / outputs as f64 - 0.5).max(0.0);
            let first = position.floor() as usize;
            (first, (first + 1).min(inputs - 1), position - position.floor())
        }
    }
}

#[test]
fn up_sampling() {
    for how in [Upsampling::Nearest, Upsampling::Bilinear] {
        for (shape, made) in [
            ([2, 3, 4, 4], [8, 8]),
            ([1, 2, 3, 5], [7, 5]),
            ([1, 1, 1, 1], [4, 3]),
            ([2, 1, 5, 7], [3, 2]),
            ([1, 2, 2, 9], [11, 10]),
            ([1, 1, 16, 3], [1, 3]),
            ([2, 5, 3, 2], [17, 9]),
            ([1, 2, 2, 1], [40, 6]),
        ] {
            let [n, c, h, w] = shape;
            check(
                &format!("{how:?} {shape:?} to {made:?}"),
                vec![Tensor::random(&shape, 1)],
                vec![],
                &|g, v| g.upsample(v[0], how, made),
                &|t| {
                    Tensor::from_fn(&[n, c, made[0], made[1]], |i| {
                        let (ox, oy, plane) = (i % made[1], i / made[1] % made[0], i / (made[0] * made[1]));
                        let (y0, y1, v) = read(how, oy, h, made[0]);
                        let (x0, x1, u) = read(how, ox, w, made[1]);
                        let at = |y: usize, x: usize| t[0].data[(plane * h + y) * w + x];
                        let row = |y| at(y, x0) * (1.0 - u) + at(y, x1) * u;
                        row(y0) * (1.0 - v) + row(y1) * v
                    })
                },
            );
        }
    }
}

/// Rows by their numbers; repeated ones add up in the gradient; one outside the table gives NaNs.
#[test]
fn embedding() {
    let gpu = gpu();
    for ([rows, columns], positions) in
        [([5, 3], vec![2, 4]), ([100, 17], vec![40]), ([90, 40], vec![30]), ([3, 65], vec![7]), ([2, 1], vec![70_000])]
    {
        let count: usize = positions.iter().product();
        let indices: Vec<u32> = (0..count as u32).map(|i| hash(i) % rows as u32).collect();
        let table = Tensor::random(&[rows, columns], 1);
        let upstream = Tensor::random(&[count, columns], 2);
        let expected: Vec<f64> =
            (0..count * columns).map(|i| table.data[indices[i / columns] as usize * columns + i % columns]).collect();
        let mut gradient = vec![0.0; rows * columns];
        for (i, u) in upstream.data.iter().enumerate() {
            gradient[indices[i / columns] as usize * columns + i % columns] += u;
        }
        for set in SETS {
            let mut g = Graph::new();
            let weight = g.parameter("table", [rows, columns], Init::Constant(0.0)).unwrap();
            let index = g.input("indices", positions.as_slice(), Element::U32);
            let y = g.embedding(index, weight).unwrap();
            g.mark_metric(y);
            let extents = [positions.as_slice(), &[columns]].concat();
            assert_eq!(g.shape(y).extents(), extents);
            let arriving = g.input("arriving", extents.as_slice(), Element::F32);
            let d = g.differentiate(&[(y, Some(arriving))]).unwrap()[&weight];
            g.mark_metric(d);
            let plan = Plan::new(g, &Policy::raw(), options(&gpu, set)).unwrap();
            let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
            session.write("table", &table.f32()).unwrap();
            let mut run = |indices: &[u32]| -> Vec<f64> {
                let uploads = upstream.f32();
                session.step(0, &[bytemuck::cast_slice(indices), bytemuck::cast_slice(&uploads)]).unwrap();
                let done = session.finished().unwrap().pop().unwrap();
                (0..done.words.len()).map(|i| f64::from(done.f32(i))).collect()
            };
            let got = run(&indices);
            let what = format!("embedding {rows}×{columns} on {set:?}");
            compare(&what, &got[..count * columns], &expected, 0.0);
            compare(&format!("{what}: gradient"), &got[count * columns..], &gradient, 1e-4);
            let mut outside = indices.clone();
            outside[0] = rows as u32;
            let got = run(&outside);
            assert!(got[..columns].iter().all(|y| y.is_nan()) && got[columns].is_finite(), "{what}");
        }
    }
}
