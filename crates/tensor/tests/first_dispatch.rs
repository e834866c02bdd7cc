//! The first dispatch of a process.

use frugal_tensor::ir::{Element, Graph, Init};
use frugal_tensor::{Plan, PlannedSession, Policy};
use frugal_testkit::{SETS, Tensor, compare, gpu, options};

/// Mesa 22.3 returned zeros to a peer whose first dispatch was a convolution. This file is a process
/// of its own; it uploads without a kernel and dispatches a convolution first.
#[test]
fn a_convolution_may_come_first() {
    let gpu = gpu();
    let (x, w) = (Tensor::random(&[2, 3, 8, 8], 1), Tensor::random(&[16, 3, 3, 3], 2));
    let mut first = Vec::new();
    for set in [gpu.adapter().kernel_set()].into_iter().chain(SETS) {
        let mut g = Graph::new();
        let input = g.input("x", x.shape.as_slice(), Element::F32);
        let weights = g.parameter("w", w.shape.as_slice(), Init::Constant(0.0)).unwrap();
        let y = g.conv2d(input, weights, [1, 1], [1, 1]).unwrap();
        g.mark_metric(y);
        let plan = Plan::new(g, &Policy::raw(), options(&gpu, set)).unwrap();
        let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
        session.write("w", &w.f32()).unwrap();
        session.step(0, &[bytemuck::cast_slice(&x.f32())]).unwrap();
        let done = session.finished().unwrap().pop().unwrap();
        let got: Vec<f64> = (0..done.words.len()).map(|i| f64::from(done.f32(i))).collect();
        assert!(got.iter().any(|y| y.abs() > 0.1), "{set:?}: zeros");
        if first.is_empty() {
            first = got;
        } else {
            compare(&format!("first dispatch against {set:?}"), &first, &got, 1e-5);
        }
    }
}
