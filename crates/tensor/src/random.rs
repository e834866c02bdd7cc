//! Counter-based random numbers: the same on the host and in shaders (`shaders/parts/random.wgsl`), keyed by what they
//! are for instead of by when they are drawn, so that a run that was interrupted draws the same ones.

/// The PCG-RXS-M-XS permutation of one word (O'Neill 2014).
pub fn hash(x: u32) -> u32 {
    let state = x.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (word >> 22) ^ word
}

/// What kernels draw random numbers for, as a word: values of these names.
pub fn purpose<'a>(names: impl IntoIterator<Item = &'a str>) -> u32 {
    names.into_iter().flat_map(str::bytes).fold(0, |key, byte| hash(key ^ u32::from(byte)))
}

/// A stream of random numbers of its own: number i is hash(start + i·stride).
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    start: u32,
    stride: u32,
}

impl Stream {
    /// The stream with this number of this seed, for what the host draws once, such as the order of samples.
    pub fn new(seed: u64, stream: u64) -> Self {
        let words = [seed as u32, (seed >> 32) as u32, stream as u32, (stream >> 32) as u32];
        Self { start: words.into_iter().fold(0, |key, word| hash(key ^ word)), stride: 1 }
    }

    /// The stream of this name of this seed, for what the host draws once for each of many: starting values. Like those of
    /// steps they are long and many, so each has a stride of its own.
    pub fn named(seed: u64, name: &str) -> Self {
        let seeded = hash(hash(seed as u32) ^ (seed >> 32) as u32);
        let key = |start: u32| name.bytes().fold(hash(start ^ seeded), |key, byte| hash(key ^ u32::from(byte)));
        Self { start: key(0), stride: key(u32::MAX) | 1 }
    }

    /// What a kernel draws in a step. These streams are long and many, so each has a stride of its own: no stretch of one
    /// is a shifted stretch of another.
    pub fn of_step(purpose: u32, seed: u32, step: u32) -> Self {
        let key = |purpose| hash(hash(hash(purpose) ^ seed) ^ step);
        Self { start: key(purpose), stride: key(!purpose) | 1 }
    }

    /// The word at a place of the stream.
    pub fn word(self, index: u32) -> u32 {
        hash(self.start.wrapping_add(index.wrapping_mul(self.stride)))
    }

    /// Numbers in [0, 1) with 24 bits.
    pub fn uniform(self) -> impl Iterator<Item = f32> {
        (0..).map(move |index| unit(self.word(index)))
    }
}

/// The upper 24 bits of a word as a number in [0, 1).
pub fn unit(word: u32) -> f32 {
    (word >> 8) as f32 / (1 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Streams that cross: what follows a number in one never follows it in the other.
    #[test]
    fn no_stretch_of_a_stream_is_one_of_another() {
        let stream = Stream::of_step(1, 2, 3);
        let crossing = Stream { start: stream.start.wrapping_add(50), ..Stream::of_step(4, 2, 3) };
        assert!(stream.stride % 2 == 1 && stream.stride != crossing.stride);
        let pairs = |s: Stream| (0..100_000).map(move |i| (s.word(i), s.word(i + 1)));
        let known: HashSet<(u32, u32)> = pairs(stream).collect();
        assert_eq!(known.len(), 100_000);
        assert!(pairs(crossing).all(|pair| !known.contains(&pair)));
    }

    #[test]
    fn streams_of_names_differ_by_name_and_by_seed() {
        let streams = [(1, "a.weight"), (1, "b.weight"), (1, "a.weigth"), (2, "a.weight"), (1 << 32, "a.weight")];
        let firsts: HashSet<Vec<u32>> =
            streams.iter().map(|(seed, name)| (0..4).map(|i| Stream::named(*seed, name).word(i)).collect()).collect();
        assert_eq!(firsts.len(), streams.len());
    }

    /// Whatever the stride, the numbers are spread evenly and do not follow one another.
    #[test]
    fn every_stride_gives_random_numbers() {
        for purpose in 0..50 {
            let u: Vec<f64> = Stream::of_step(purpose, 1, 0).uniform().take(20_000).map(f64::from).collect();
            let mean = u.iter().sum::<f64>() / u.len() as f64;
            let follow = u.windows(2).map(|p| (p[0] - 0.5) * (p[1] - 0.5)).sum::<f64>() / u.len() as f64 * 12.0;
            // Deviations of 0.002 and 0.007.
            assert!((mean - 0.5).abs() < 0.01 && follow.abs() < 0.035, "{purpose}: mean {mean}, correlation {follow}");
        }
    }
}
