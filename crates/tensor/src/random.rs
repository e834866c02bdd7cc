//! Counter-based random numbers: the same on the host and in shaders (`shaders/parts/random.wgsl`), keyed by what they
//! are for instead of by when they are drawn, so that a run that was interrupted draws the same ones.

/// The PCG-RXS-M-XS permutation of one word (O'Neill 2014).
pub fn hash(x: u32) -> u32 {
    let state = x.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (word >> 22) ^ word
}

/// A stream of random numbers with a key of its own.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    key: u32,
}

impl Stream {
    /// The stream with this number of this seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        let words = [seed as u32, (seed >> 32) as u32, stream as u32, (stream >> 32) as u32];
        Self { key: words.into_iter().fold(0, |key, word| hash(key ^ word)) }
    }

    /// The word at a place of the stream.
    pub fn word(self, index: u32) -> u32 {
        hash(self.key.wrapping_add(index))
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
