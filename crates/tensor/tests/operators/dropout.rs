//! Dropout.

use frugal_tensor::ir::{Element, Graph, Init, Part};
use frugal_tensor::ops::dropout::Dropout;
use frugal_tensor::random::{Stream, unit};
use frugal_tensor::step::CONTROL;
use frugal_tensor::{Plan, PlannedSession, Policy};
use frugal_testkit::{STEP, Tensor, check, gpu};

#[test]
fn dropout() {
    let stream = 77;
    let numbers = Stream::of_step(stream, STEP[1], STEP[0]);
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
                t[0].map(|i, x| if stays(i) { x / (1.0 - f64::from(rate)) } else { 0.0 })
            },
        );
    }
}

/// The share that is dropped, that no step, seed or place draws what another draws, and that nothing is kept.
#[test]
fn dropout_draws_anew_and_keeps_nothing() {
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
    assert!(graph.saved_tensors().is_empty(), "{:?}", graph.saved_tensors());
    let plan = Plan::new(graph, &Policy::raw(), gpu.plan_options()).unwrap();
    let mut session = PlannedSession::new(gpu, vec![plan], 0).unwrap();
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

/// A part of a batch drops what the whole would.
#[test]
fn parts_drop_what_the_whole_drops() {
    let gpu = gpu();
    let mut graph = Graph::new();
    let x = graph.input("x", [5, 64], Element::F32);
    let control = graph.control();
    let part =
        |samples: usize, first: usize| (Part { of: x, first: 64 * first, offset: Some(256 * first as u64) }, samples);
    let parts = [part(5, 0), part(2, 0), part(2, 2), part(1, 4)];
    for (part, samples) in parts {
        let part = graph.add_part(part, [samples, 64]);
        let y = graph.apply_one(Dropout { rate: 0.5, stream: 77 }, &[part, control]).unwrap();
        graph.mark_metric(y);
    }
    let plan = Plan::new(graph, &Policy::raw(), gpu.plan_options()).unwrap();
    let mut session = PlannedSession::new(gpu, vec![plan], 0).unwrap();
    session.step_with(0, &[("x", (&vec![1.0f32; 320]).into()), (CONTROL, (&STEP).into())]).unwrap();
    let words = session.finished().unwrap().pop().unwrap().words;
    assert!(words[..320] == words[320..]);
}
