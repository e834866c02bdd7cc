//! The mask of what lies in an interval.

use frugal_tensor::codec::mask::EncodeMask;
use frugal_tensor::ir::{Element, Graph, Interval};
use frugal_tensor::random::Stream;
use frugal_tensor::{Plan, PlannedSession, Policy};
use frugal_testkit::{SETS, gpu, options};

#[test]
fn mask_is_exact() {
    let gpu = gpu();
    for n in [1, 2, 31, 32, 33, 127, 2049, 100_003] {
        let specials = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MIN_POSITIVE, -f32::MIN_POSITIVE];
        let x: Vec<f32> = Stream::new(1, n as u64)
            .uniform()
            .take(n)
            .enumerate()
            .map(|(i, u)| if i % 5 == 0 { specials[i / 5 % specials.len()] } else { u - 0.5 })
            .collect();
        let inside = [Interval::POSITIVE, Interval { low: -0.25, high: 0.25 }, Interval { low: 0.0, high: 6.0 }];
        for (set, interval) in SETS.into_iter().flat_map(|set| inside.map(|interval| (set, interval))) {
            let mut graph = Graph::new();
            let input = graph.input("x", [n], Element::F32);
            let words = graph.apply_one(EncodeMask(interval), &[input]).unwrap();
            graph.mark_metric(words);
            let plan = Plan::new(graph, &Policy::raw(), options(&gpu, set)).unwrap();
            let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
            session.step(0, &[bytemuck::cast_slice(&x)]).unwrap();
            let words = session.finished().unwrap().pop().unwrap().words;
            for (i, x) in x.iter().enumerate() {
                let bit = words[i / 32] >> (i % 32) & 1;
                let wanted = *x > interval.low && (*x < interval.high || interval == Interval::POSITIVE);
                assert_eq!(bit == 1, wanted, "element {i} of {n}: {x} in {interval:?}");
            }
        }
    }
}
