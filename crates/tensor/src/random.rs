//! Counter-based random numbers: the same on the host and in shaders (`shaders/parts/random.wgsl`), keyed by what they
//! are for instead of by when they are drawn, so that a run that was interrupted draws the same ones.

/// The PCG-RXS-M-XS permutation of one word (O'Neill 2014).
pub fn hash(x: u32) -> u32 {
    let state = x.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (word >> 22) ^ word
}

/// A stream of random numbers of its own: number i is hash(start + i·stride).
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    start: u32,
    stride: u32,
}

impl Stream {
    /// The stream with this number of this seed, for what the host draws once: first weights, the order of samples.
    pub fn new(seed: u64, stream: u64) -> Self {
        let words = [seed as u32, (seed >> 32) as u32, stream as u32, (stream >> 32) as u32];
        Self { start: words.into_iter().fold(0, |key, word| hash(key ^ word)), stride: 1 }
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
