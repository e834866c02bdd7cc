//! Layer and group norm, forward and gradient, on every kernel set, against f64 references; and what they keep.

use frugal_tensor::ir::{Element, Graph, Init, Role};
use frugal_tensor::{Plan, Policy};
use frugal_testkit::{Case, Tensor, gpu};

/// Rows of `size` elements; element i goes with number (i / run) mod the elements of γ.
fn normalized(t: &[Tensor], size: usize, run: usize, epsilon: f64) -> Tensor {
    let (x, gamma, beta) = (&t[0], &t[1], &t[2]);
    let statistics: Vec<(f64, f64)> = x
        .data
        .chunks(size)
        .map(|row| {
            let mean = row.iter().sum::<f64>() / size as f64;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / size as f64;
            (mean, 1.0 / (variance + epsilon).sqrt())
        })
        .collect();
    Tensor::from_fn(&x.shape, |i| {
        let ((mean, inv_std), p) = (statistics[i / size], i / run % gamma.data.len());
        (x.data[i] - mean) * inv_std * gamma.data[p] + beta.data[p]
    })
}

#[test]
fn layer_norm() {
    for (shape, axes) in [
        (vec![3, 5], 1),
        (vec![2, 3, 8], 1),
        (vec![2, 3, 8], 2),
        (vec![4, 3, 3, 5], 3),
        (vec![200, 12], 1),
        (vec![2, 2, 64, 64], 3),
    ] {
        let own = &shape[shape.len() - axes..];
        let size = own.iter().product();
        let case = Case {
            name: format!("layer norm of {axes} axes of {shape:?}"),
            activations: vec![Tensor::random(&shape, 1)],
            parameters: vec![Tensor::random(own, 2), Tensor::random(own, 3)],
            build: &|g, v| g.layer_norm(v[0], v[1], v[2], 1e-5),
            reference: &|t| normalized(t, size, 1, 1e-5),
            samples: 24,
            tolerance: 2e-5,
            roundings: 1.0,
        };
        case.check();
    }
}

#[test]
fn group_norm() {
    for (shape, groups) in [
        (vec![2, 6, 3, 5], 3),
        (vec![2, 8, 4, 4], 2),
        (vec![3, 8, 4, 4], 1),
        (vec![2, 8, 4, 4], 8),
        (vec![5, 12], 4),
        (vec![130, 12], 2),
        (vec![1, 4, 40, 41], 2),
    ] {
        let channels = shape[1];
        let run: usize = shape[2..].iter().product();
        let size = channels / groups * run;
        let case = Case {
            name: format!("group norm of {groups} groups of {shape:?}"),
            activations: vec![Tensor::random(&shape, 1)],
            parameters: vec![Tensor::random(&[channels], 2), Tensor::random(&[channels], 3)],
            build: &|g, v| g.group_norm(v[0], groups, v[1], v[2], 1e-5),
            reference: &|t| normalized(t, size, run, 1e-5),
            samples: 24,
            tolerance: 2e-5,
            roundings: 1.0,
        };
        case.check();
    }
}

#[test]
fn keeps_its_input_and_two_numbers_for_each_row() {
    let mut graph = Graph::new();
    let x = graph.input("x", [4, 6, 8, 8], Element::F32);
    let [gamma, beta] = ["gamma", "beta"].map(|name| graph.parameter(name, [6], Init::Constant(1.0)).unwrap());
    let y = graph.group_norm(x, 2, gamma, beta, 1e-5).unwrap();
    let arriving = graph.input("arriving", [4, 6, 8, 8], Element::F32);
    graph.differentiate(&[(y, Some(arriving))]).unwrap();
    let plan = Plan::new(graph, &Policy::raw(), gpu().plan_options()).unwrap();
    let kept = |kind: Role| {
        let of_role = plan.stored.iter().map(|stored| plan.graph.value(stored.kept)).filter(|v| v.role == kind);
        of_role.map(|value| value.bytes()).sum::<u64>()
    };
    assert_eq!((kept(Role::Input), kept(Role::Activation)), (4 * 6 * 64 * 4, 4 * 2 * 2 * 4));
}

#[test]
fn misfits() {
    let mut graph = Graph::new();
    let x = graph.input("x", [2, 6, 4], Element::F32);
    let six = graph.input("six", [6], Element::F32);
    let four = graph.input("four", [4], Element::F32);
    assert!(graph.group_norm(x, 4, six, six, 1e-5).unwrap_err().to_string().contains("6 channels are not 4 groups"));
    assert!(graph.group_norm(x, 2, four, four, 1e-5).is_err());
    assert!(graph.layer_norm(x, six, six, 1e-5).is_err());
    assert!(graph.layer_norm(x, four, six, 1e-5).is_err());
    assert!(graph.layer_norm(x, four, four, 1e-5).is_ok());
}
