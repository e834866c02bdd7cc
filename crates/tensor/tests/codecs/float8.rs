//! Floats of 8 bits in groups.

use super::round_trip;
use frugal_tensor::codec::{Codec, Float8};
use frugal_tensor::ir::{Element, Graph, Shape};
use frugal_testkit::{SETS, gpu};
use std::sync::LazyLock;

/// The code of NaN; the others below it are those of 0 to 448.
const NAN: u8 = 0x7f;

/// What a code means, by the definition of E4M3.
pub fn value(code: u8) -> f64 {
    let (exponent, significand) = (i32::from(code >> 3 & 15), f64::from(code & 7));
    let size = match (code & NAN, exponent) {
        (NAN, _) => f64::NAN,
        (_, 0) => significand * 2f64.powi(-9),
        _ => (1.0 + significand / 8.0) * 2f64.powi(exponent - 7),
    };
    if code & 0x80 == 0 { size } else { -size }
}

/// The least power of two, from 2^-117 on, with which this magnitude rounds to 448 at most: at 464, the tie, 448 is even.
pub fn scale(top: f32) -> f64 {
    (-117..).map(|exponent| 2f64.powi(exponent)).find(|scale| f64::from(top) <= 464.0 * scale).unwrap()
}

/// The code of the nearest value by search, ties to even codes; what would decode to more than a single holds is none.
pub fn nearest(x: f32, scale: f64) -> u8 {
    let sign = if x.is_sign_negative() { 0x80 } else { 0 };
    if !x.is_finite() {
        return sign | NAN;
    }
    let x = f64::from(x).abs() / scale;
    static VALUES: LazyLock<Vec<f64>> = LazyLock::new(|| (0..NAN).map(value).collect());
    let above = VALUES.partition_point(|value| *value < x).min(VALUES.len() - 1);
    let below = above.saturating_sub(1);
    let [up, down] = [VALUES[above] - x, x - VALUES[below]];
    let takes_above = VALUES[above] * scale <= f64::from(f32::MAX) && (up < down || (up == down && above % 2 == 0));
    sign | if takes_above { above } else { below } as u8
}

pub fn keeps_promise(what: &str, codec: &Float8, x: &[f32], decoded: &[f32]) {
    for (group, (x, y)) in x.chunks(codec.group).zip(decoded.chunks(codec.group)).enumerate() {
        let top = x.iter().filter(|x| x.is_finite()).fold(0f32, |top, x| top.max(x.abs()));
        let scale = (f64::from(top) * 2f64.powi(-7)).max(2f64.powi(-117));
        for (i, (x, y)) in x.iter().zip(y).enumerate() {
            let what = format!("{what}: group {group} element {i}: {x} became {y}");
            if !x.is_finite() {
                assert!(y.is_nan(), "{what}");
                continue;
            }
            let off = (f64::from(*x) - f64::from(*y)).abs();
            assert!(off <= (f64::from(x.abs()) * 2f64.powi(-4)).max(scale * 2f64.powi(-10)), "{what}");
            assert_eq!(x.is_sign_negative(), y.is_sign_negative(), "{what}");
            assert!(*x != 0.0 || *y == 0.0, "{what}");
        }
    }
}

/// Every E4M3, what lies in the middle between it and the next, and the singles around both, at scales from the least to
/// the largest.
#[test]
fn every_float_and_every_tie_is_as_it_should_be() {
    let gpu = gpu();
    let codec = Float8 { group: 1024 };
    let mut x: Vec<f32> = Vec::new();
    for exponent in [-117, -116, -20, 0, 7, 118, 119, 120] {
        let scale = 2f64.powi(exponent);
        // The first of a group is its largest, which makes the scale.
        let group = (0..NAN).rev().flat_map(|code| {
            let [at, next] = [code, code + 1].map(|code| if code == NAN { 480.0 } else { value(code) });
            let tie = (((at + next) / 2.0 * scale) as f32).to_bits();
            let at = ((at * scale) as f32).to_bits();
            [at, tie, tie + 1, tie.saturating_sub(1), at + 1, at.saturating_sub(1), at | 1 << 31, tie | 1 << 31]
        });
        let top = 464.0 * scale;
        let within =
            group.map(f32::from_bits).map(|x| if x.is_finite() && f64::from(x.abs()) <= top { x } else { 0.0 });
        x.extend(within.chain([0.0; 8]));
    }
    assert_eq!(x.len() % codec.group, 0);
    for set in SETS {
        let (words, decoded) = round_trip(&gpu, set, &codec, &Shape::from([x.len()]), &x, 0);
        let groups = x.len() / codec.group;
        let codes: Vec<u8> = words[groups..].iter().flat_map(|word| word.to_le_bytes()).collect();
        for (i, &x) in x.iter().enumerate() {
            let scale = f64::from(f32::from_bits(words[i / codec.group]));
            let wanted = nearest(x, scale);
            assert_eq!(codes[i], wanted, "{x:e} at scale {scale:e} on {set:?}");
            assert_eq!(decoded[i].to_bits(), ((value(wanted) * scale) as f32).to_bits(), "{x:e} on {set:?}");
        }
        let scales = |group: usize| f64::from(f32::from_bits(words[group])).log2();
        assert_eq!((0..groups).map(scales).collect::<Vec<_>>(), [-117.0, -116.0, -20.0, 0.0, 7.0, 118.0, 119.0, 120.0]);
    }
}

/// What is not finite becomes NaN by itself, and its neighbours are coded as without it.
#[test]
fn what_is_not_finite_changes_nothing_else() {
    let gpu = gpu();
    let mut x: Vec<f32> = (0..512).map(|i| (i % 37) as f32 / 5.0 - 2.0).collect();
    let shape = Shape::from([512]);
    for set in SETS {
        let (_, before) = round_trip(&gpu, set, &Float8::default(), &shape, &x, 0);
        let places = [3, 255, 300];
        for (place, value) in places.into_iter().zip([f32::NAN, f32::INFINITY, f32::NEG_INFINITY]) {
            x[place] = value;
        }
        let (_, after) = round_trip(&gpu, set, &Float8::default(), &shape, &x, 0);
        for (i, (before, after)) in before.iter().zip(&after).enumerate() {
            assert!(if places.contains(&i) { after.is_nan() } else { before == after }, "element {i} became {after}");
        }
        places.iter().for_each(|&place| x[place] = (place % 37) as f32 / 5.0 - 2.0);
    }
}

#[test]
fn it_takes_what_has_a_whole_group() {
    let takes = |shape: Shape| {
        let mut graph = Graph::new();
        let id = graph.input("x", shape, Element::F32);
        Float8::default().takes(graph.value(id))
    };
    assert!(takes([4, 64].into()) && !takes([255].into()));
    assert_eq!(Float8::default().words(&[64, 256].into()), [64, 4096]);
    for group in [0, 8, 96, 2048] {
        assert!(Float8 { group }.check().is_err(), "{group}");
    }
}
