//! The order of the samples of an epoch, and what chance does to each of them: both depend on seed, epoch and sample
//! and on nothing else.
//!
//! The generator is counter-based: draw number `i` of a stream is a function of the stream's key and `i`, so there is no
//! state that a thread or an interruption could disturb. It is SplitMix64 (Steele, Lea, Flood 2014) with the place in
//! its sequence given instead of remembered:
//!
//! ```text
//! mix(z)   z ^= z >> 30;  z *= 0xbf58476d1ce4e5b9;  z ^= z >> 27;  z *= 0x94d049bb133111eb;  z ^= z >> 31
//! G        0x9e3779b97f4a7c15, the golden ratio in 64 bits; all arithmetic is modulo 2^64
//! key      mix(mix(seed + G) + epoch)
//! draw(i)  mix(key + (i + 1) · G)
//! sample   key of sample n: draw(n) of the stream of the seed's complement
//! batch    key of batch b: that of sample 2^64 - 1 - b, which no set has
//! ```
//!
//! The shuffle is Fisher–Yates from the last place down. These numbers are part of what makes a run repeatable: a test
//! pins them, and changing them changes the result of every seed.

use std::convert::Infallible;

use rand_core::TryRng;

/// The step of SplitMix64: 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of random numbers, addressed by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    key: u64,
}

impl Stream {
    /// The stream of one epoch of one seed.
    pub fn new(seed: u64, epoch: u64) -> Stream {
        Stream { key: mix(mix(seed.wrapping_add(GOLDEN)).wrapping_add(epoch)) }
    }

    /// The stream of one sample in one epoch, which shares nothing with the order of that epoch.
    pub fn of_sample(seed: u64, epoch: u64, sample: u64) -> Stream {
        Stream { key: Stream::new(!seed, epoch).draw(sample) }
    }

    /// The stream of one batch in one epoch.
    pub fn of_batch(seed: u64, epoch: u64, batch: u64) -> Stream {
        Stream::of_sample(seed, epoch, u64::MAX - batch)
    }

    /// Draw number `index`: 64 uniform bits.
    pub fn draw(self, index: u64) -> u64 {
        mix(self.key.wrapping_add(index.wrapping_add(1).wrapping_mul(GOLDEN)))
    }

    /// Draw number `index`, brought to 0 … `bound` - 1.
    ///
    /// By the high half of a product. Some values are likelier than others by less than `bound` / 2^64, which no number
    /// of epochs could show, and in return every draw uses exactly one index.
    pub fn below(self, index: u64, bound: u32) -> u32 {
        ((u128::from(self.draw(index)) * u128::from(bound)) >> 64) as u32
    }

    /// Draw number `index` as a number in [0, 1) with 53 bits.
    pub fn unit(self, index: u64) -> f64 {
        (self.draw(index) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Draw number `index`, brought to `least` … `most`.
    pub fn between(self, index: u64, [least, most]: [f64; 2]) -> f64 {
        least + (most - least) * self.unit(index)
    }
}

/// A stream from its beginning, one draw after another: for distributions that need as many as chance will have it.
#[derive(Debug, Clone)]
pub struct Draws {
    stream: Stream,
    next: u64,
}

impl Draws {
    /// From draw number `first` on.
    pub fn new(stream: Stream, first: u64) -> Draws {
        Draws { stream, next: first }
    }
}

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.next += 1;
        Ok(self.stream.draw(self.next - 1))
    }

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.try_next_u64()? >> 32) as u32)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.try_next_u64()?.to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// The numbers 0 … `len` - 1, shuffled for this seed and epoch.
pub fn permutation(len: u32, seed: u64, epoch: u64) -> Vec<u32> {
    let stream = Stream::new(seed, epoch);
    let mut order: Vec<u32> = (0..len).collect();
    for last in (1..len).rev() {
        let other = stream.below(u64::from(last), last + 1);
        order.swap(last as usize, other as usize);
    }
    order
}

/// The output function of SplitMix64, a bijection that spreads every bit over all.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_number_comes_once(len in 0u32..3000, seed: u64, epoch: u64) {
            let mut order = permutation(len, seed, epoch);
            prop_assert_eq!(&permutation(len, seed, epoch), &order);
            order.sort_unstable();
            prop_assert_eq!(order, (0..len).collect::<Vec<_>>());
        }

        #[test]
        fn draws_stay_below_their_bound(seed: u64, epoch: u64, index: u64, bound in 1u32..) {
            prop_assert!(Stream::new(seed, epoch).below(index, bound) < bound);
        }
    }

    /// Runs that were recorded with these numbers must stay repeatable.
    #[test]
    fn the_numbers_never_change() {
        // The first output of SplitMix64 for seed 0, which every implementation of it gives.
        assert_eq!(mix(GOLDEN), 0xe220_a839_7b1d_cdaf);
        assert_eq!(permutation(10, 0, 0), [3, 8, 6, 7, 5, 9, 0, 1, 4, 2]);
        assert_eq!(permutation(10, 1, 2), [7, 2, 5, 4, 6, 1, 3, 0, 8, 9]);
        assert_eq!(Stream::of_sample(1, 2, 3).draw(4), 0xa7a6_e464_23ba_aeb4);
    }

    /// Each number comes to each place equally often: chi-squared over 64 cells stays within 5 deviations.
    #[test]
    fn places_are_uniform() {
        let (len, epochs) = (8, 40_000);
        let mut counts = [[0u32; 8]; 8];
        for epoch in 0..epochs {
            for (place, &number) in permutation(len, 7, epoch).iter().enumerate() {
                counts[place][number as usize] += 1;
            }
        }
        let expected = epochs as f64 / f64::from(len);
        let chi: f64 = counts.iter().flatten().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
        // 49 degrees of freedom: mean 49, deviation about 10.
        assert!((10.0..99.0).contains(&chi), "{chi}");
    }
}
