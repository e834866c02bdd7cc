//! Half precision.

use super::round_trip;
use frugal_tensor::codec::F16;
use frugal_tensor::ir::Shape;
use frugal_testkit::{SETS, gpu};
use half::f16;

pub fn keeps_promise(what: &str, _: &Shape, x: &[f32], decoded: &[f32]) {
    for (i, (x, y)) in x.iter().zip(decoded).enumerate() {
        let what = format!("{what}: element {i}: {x} became {y}");
        if x.is_nan() {
            assert!(y.is_nan(), "{what}");
        } else if x.abs() >= 65_520.0 {
            assert_eq!(*y, f32::INFINITY.copysign(*x), "{what}");
        } else {
            let off = (f64::from(*x) - f64::from(*y)).abs();
            let relative = f64::from(x.abs()) * 2f64.powi(-11);
            assert!(off <= if x.abs() < 2f32.powi(-14) { 2f64.powi(-25) } else { relative }, "{what}");
            assert_eq!(x.is_sign_negative(), y.is_sign_negative(), "{what}");
        }
    }
}

/// Every half, what lies in the middle between it and the next, and the singles around both: bit for bit as the crate
/// `half` has it.
#[test]
fn every_half_and_every_tie_is_as_it_should_be() {
    let gpu = gpu();
    let mut bits: Vec<u32> = Vec::new();
    for half in 0..=u16::MAX {
        let at = f16::from_bits(half).to_f32().to_bits();
        let middle = at.wrapping_add(if half & 0x7c00 == 0 { 0 } else { 0x1000 });
        bits.extend([at, middle].into_iter().flat_map(|b| [b.wrapping_sub(1), b, b.wrapping_add(1)]));
        // Denormal halves have their ties elsewhere.
        if half & 0x7c00 == 0 {
            let tie = (f32::from(half & 0x3ff) + 0.5) * 2f32.powi(-24);
            bits.extend([tie.to_bits() - 1, tie.to_bits(), (-tie).to_bits(), tie.to_bits() + 1]);
        }
    }
    bits.extend((0..=u32::MAX).step_by(65_537 * 3));
    let odd = |bits: u32| 2 * (bits & 0x7fff_ffff) > 2 * 0x7f80_0000u32;
    // 65,520 and around: the first to become infinite.
    bits.extend([0x477f_efff, 0x477f_f000, 0x477f_f001, 0x7f80_0000, 0xff80_0000, 1, 0x8000_0001, 0x007f_ffff]);
    let x: Vec<f32> = bits.iter().map(|&b| f32::from_bits(b)).collect();
    for set in SETS {
        let (words, decoded) = round_trip(&gpu, set, &F16, &Shape::from([x.len()]), &x, 0);
        for (i, &bits) in bits.iter().enumerate() {
            let got = (words[i / 2] >> (16 * (i % 2))) as u16;
            let wanted = f16::from_f32(f32::from_bits(bits));
            assert_eq!(got, wanted.to_bits(), "{bits:08x} on {set:?}, NaN: {}", odd(bits));
            assert_eq!(decoded[i].to_bits(), wanted.to_f32().to_bits(), "{bits:08x} as {got:04x} on {set:?}");
        }
    }
}

#[test]
fn the_last_half_of_an_odd_count_is_empty() {
    let gpu = gpu();
    for n in [1, 3, 2049] {
        let (words, _) = round_trip(&gpu, SETS[0], &F16, &Shape::from([n]), &vec![1.0; n], 0);
        assert_eq!(words.last().unwrap() >> 16, 0);
    }
}
