//! The frequency split of DIVISION.

use super::{draws_by_step, is_unbiased};
use frugal_tensor::codec::FrequencySplit;
use frugal_tensor::ir::Shape;
use frugal_tensor::random::Stream;

/// The mean that each element's rest is taken from, in f64.
fn block_means(codec: &FrequencySplit, [h, w]: [usize; 2], plane: &[f32]) -> Vec<f64> {
    let [down, across, b] = codec.means(h, w);
    (0..h * w)
        .map(|i| {
            let (y, x) = (i / w / b * b, i % w / b * b);
            let (y, x) = if codec.parity { (i / w * down / h * b, i % w * across / w * b) } else { (y, x) };
            let cells = (y..(y + b).min(h)).flat_map(|y| (x..(x + b).min(w)).map(move |x| y * w + x));
            let values: Vec<f64> = cells.map(|j| f64::from(plane[j])).collect();
            values.iter().sum::<f64>() / values.len() as f64
        })
        .collect()
}

/// |x̂ − x| ≤ step, with the step at most what the module's documentation allows.
pub fn keeps_promise(what: &str, codec: &FrequencySplit, shape: &Shape, x: &[f32], decoded: &[f32]) {
    let [_, _, h, w] = shape.nchw().unwrap();
    let levels = f64::from((1u32 << codec.bits) - 1);
    for (plane, (x, y)) in x.chunks(h * w).zip(decoded.chunks(h * w)).enumerate() {
        if x.iter().any(|x| !x.is_finite()) {
            assert!(y.iter().all(|y| y.is_nan()), "{what}: plane {plane} is not finite, its decoding is");
            continue;
        }
        let least = x.iter().copied().fold(f32::INFINITY, f32::min);
        let most = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if f64::from(most) - f64::from(least) > 3e38 {
            // Ranges too wide for a single may decode to NaN, never to something small.
            assert!(y.iter().all(|y| y.is_nan() || y.abs() > 1e37), "{what}");
            continue;
        }
        let means = block_means(codec, [h, w], x);
        let bf16 = 1.0 / 128.0;
        // The block mean itself is rounded to bf16, which moves every rest of the block.
        let shift = means.iter().fold(0.0, |m: f64, c| m.max(c.abs())) * bf16;
        let rests: Vec<f64> = x.iter().zip(&means).map(|(x, m)| f64::from(*x) - m).collect();
        let low = rests.iter().copied().fold(f64::INFINITY, f64::min) - shift;
        let high = rests.iter().copied().fold(f64::NEG_INFINITY, f64::max) + shift;
        let step = if codec.parity {
            let step = (high - low + 2e-6) / levels;
            step + low.abs() * bf16 / 4.0 + levels * step * bf16 / 2.0
        } else {
            (high - low + low.abs() * bf16) / levels * (1.0 + bf16)
        };
        let largest = x.iter().fold(0.0, |m: f64, x| m.max(f64::from(x.abs())));
        for (i, (x, y)) in x.iter().zip(y).enumerate() {
            let off = (f64::from(*x) - f64::from(*y)).abs();
            assert!(
                off <= step + 1e-6 * largest + 1e-37,
                "{what}: plane {plane} element {i}: {x} became {y}, off by {off}, step {step}"
            );
        }
    }
}

#[test]
fn is_unbiased_over_many_draws() {
    let plane: Vec<f32> = Stream::new(9, 0).uniform().take(64).map(|u| u * u).collect();
    is_unbiased(&FrequencySplit::default(), &plane, &Shape::from([4096, 1, 8, 8]));
}

#[test]
fn draws_differ_from_step_to_step_and_repeat_for_a_step() {
    draws_by_step(&FrequencySplit::default());
}

/// The paper's sizes: 2.25 bits an element on large planes, 2.98 at 7×7 before packing into words.
#[test]
fn frequency_split_takes_what_the_paper_says() {
    let bits = |h: usize| {
        let words: usize = FrequencySplit::default().plane_words(h, h).iter().sum();
        32.0 * words as f64 / (h * h) as f64
    };
    assert!(bits(56) < 2.27, "{}", bits(56));
    assert!(bits(32) < 2.30, "{}", bits(32));
    assert!(bits(8) <= 3.0, "{}", bits(8));
    assert!(bits(7) < 3.3, "{}", bits(7));
}
