//! Matrix products and what goes element by element; blocks that share gradients; extents that are large or do not fit.

use frugal_tensor::ir::{Element, Graph, Init};
use frugal_tensor::ops::conv2d::Conv2d;
use frugal_tensor::ops::matmul::MatMul;
use frugal_tensor::{Plan, PlannedSession, Policy};
use frugal_testkit::{Case, SETS, Tensor, check, check_product, gpu, options};

#[test]
fn matrix_product() {
    for [m, n, k] in [[1, 1, 1], [64, 64, 64], [7, 13, 29], [65, 33, 127], [3, 130, 2], [64, 10, 128]] {
        for transpose_a in [false, true] {
            for transpose_b in [false, true] {
                let a = if transpose_a { [k, m] } else { [m, k] };
                let b = if transpose_b { [n, k] } else { [k, n] };
                check_product(
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
        check(&format!("relu {shape:?}"), x(), vec![], &|g, v| g.relu(v[0]), &|t| t[0].map(|_, x| x.max(0.0)));
        check(
            &format!("bias {shape:?}"),
            x(),
            vec![Tensor::random(&[channels], 2)],
            &|g, v| g.bias(v[0], v[1]),
            &|t| t[0].map(|i, x| x + t[1].data[i / size % channels]),
        );
        check(
            &format!("add {shape:?}"),
            vec![Tensor::random(&shape, 1), Tensor::random(&shape, 2)],
            vec![],
            &|g, v| g.add(v[0], v[1]),
            &|t| t[0].map(|i, x| x + t[1].data[i]),
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
        &|t| t[0].map(|_, x| (x + x.max(0.0)).max(0.0)),
    );
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
        reference: &|t| t[0].map(|_, x| x.max(0.0)),
        samples: 3,
        tolerance: 1e-6,
        roundings: 1.0,
    };
    case.check();
}

#[test]
fn misfits_name_layer_and_shapes() {
    let mut graph = Graph::new();
    let x = graph.input("x", [2, 3, 8, 8], frugal_tensor::ir::Element::F32);
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

/// llvmpipe leaves the loops of an invocation after 65,535 iterations without a word: no kernel may need more.
#[test]
fn planes_too_large_for_one_invocation() {
    let gpu = gpu();
    let shape = [1, 2, 600, 601];
    let x: Vec<f32> = (0..2 * 600 * 601).map(|i| (i % 7) as f32 + if i < 600 * 601 { 0.0 } else { 10.0 }).collect();
    for set in SETS {
        let mut graph = Graph::new();
        let input = graph.input("x", shape, frugal_tensor::ir::Element::F32);
        let mean = graph.global_average_pool(input).unwrap();
        graph.mark_metric(mean);
        let plan = Plan::new(graph, &Policy::raw(), options(&gpu, set)).unwrap();
        let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
        session.step(0, &[bytemuck::cast_slice(&x)]).unwrap();
        let means = session.finished().unwrap().pop().unwrap();
        for (channel, wanted) in [(0, 3.0), (1, 13.0)] {
            assert!((means.f32(channel) - wanted).abs() < 1e-3, "{set:?}: {}, not {wanted}", means.f32(channel));
        }
    }
}
