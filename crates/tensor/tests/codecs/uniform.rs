//! Uniform quantisation in groups.

use super::{draws_by_step, is_unbiased, round_trip};
use frugal_tensor::codec::{Codec, Uniform};
use frugal_tensor::ir::{Element, Graph, Shape};
use frugal_tensor::random::Stream;
use frugal_testkit::{SETS, gpu};

/// |x̂ − x| ≤ step, with the step at most what the module's documentation allows.
pub fn keeps_promise(what: &str, codec: &Uniform, x: &[f32], decoded: &[f32]) {
    let levels = f64::from((1u32 << codec.bits) - 1);
    for (group, (x, y)) in x.chunks(codec.group).zip(decoded.chunks(codec.group)).enumerate() {
        let low = x.iter().copied().fold(f32::INFINITY, f32::min);
        let high = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let range = f64::from(high) - f64::from(low);
        if x.iter().any(|x| !x.is_finite()) || range > 3.4e38 {
            assert!(y.iter().all(|y| y.is_nan()), "{what}: group {group} is not finite, its decoding is");
            continue;
        }
        let bf16 = 1.0 / 128.0;
        let step = (range + f64::from(low.abs()) * bf16) / levels * (1.0 + bf16) + 2f64.powi(-126);
        let largest = f64::from(low.abs().max(high.abs()));
        for (i, (x, y)) in x.iter().zip(y).enumerate() {
            let off = (f64::from(*x) - f64::from(*y)).abs();
            assert!(
                off <= step + 1e-6 * largest + 2f64.powi(-126),
                "{what}: group {group} element {i}: {x} became {y}, off by {off}, step {step}"
            );
            // What the least of a group is stays exact if it is zero.
            assert!(low != 0.0 || *x != 0.0 || *y == 0.0, "{what}: group {group} element {i}: zero became {y}");
        }
    }
}

#[test]
fn is_unbiased_over_many_draws() {
    let part: Vec<f32> = Stream::new(9, 0).uniform().take(256).map(|u| u * u - 0.3).collect();
    for bits in [1, 2, 4, 8] {
        is_unbiased(&Uniform { bits, group: 256 }, &part, &Shape::from([4096, 256]));
    }
}

#[test]
fn draws_differ_from_step_to_step_and_repeat_for_a_step() {
    draws_by_step(&Uniform::default());
}

/// Element by element from the words: ranges first, then codes in order, the last group short.
#[test]
fn words_lie_where_the_documentation_says() {
    let gpu = gpu();
    let n = 1000;
    let x: Vec<f32> = Stream::new(4, 0).uniform().take(n).map(|u| 3.0 * u - 1.0).collect();
    for bits in [1, 2, 4, 8] {
        for group in [32, 64, 256, 1024] {
            let codec = Uniform { bits, group };
            for set in SETS {
                let (words, decoded) = round_trip(&gpu, set, &codec, &Shape::from([n]), &x, 2);
                let groups = n.div_ceil(group);
                assert_eq!(words.len(), groups + (n * bits).div_ceil(32));
                for (i, y) in decoded.iter().enumerate() {
                    let range = words[i / group];
                    let (m, s) = (f32::from_bits(range << 16), f32::from_bits(range & 0xffff_0000));
                    let q = words[groups + i * bits / 32] >> (i * bits % 32) & ((1 << bits) - 1);
                    let wanted = f64::from(m) + f64::from(q) * f64::from(s);
                    assert!(
                        (f64::from(*y) - wanted).abs() < 1e-6,
                        "{codec:?} on {set:?}: element {i} is {y}, not {wanted}"
                    );
                }
            }
        }
    }
}

#[test]
fn it_takes_what_has_a_whole_group() {
    let takes = |codec: Uniform, shape: Shape| {
        let mut graph = Graph::new();
        let id = graph.input("x", shape, Element::F32);
        codec.takes(graph.value(id))
    };
    assert!(takes(Uniform::default(), [4, 64].into()));
    assert!(!takes(Uniform::default(), [255].into()));
    // 2 bits and a word for 256 elements.
    assert_eq!(Uniform::default().words(&[64, 256].into()), [64, 1024]);
    for (bits, group) in [(3, 256), (0, 256), (2, 0), (2, 16), (2, 2048), (2, 96)] {
        assert!(Uniform { bits, group }.check().is_err(), "{bits} {group}");
    }
}
