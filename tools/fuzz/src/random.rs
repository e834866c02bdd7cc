//! Numbers that look like chance and follow from a seed.

/// SplitMix64.
pub struct Random(u64);

impl Random {
    /// For one input: by the seed of all, the name of the target and the number of the input.
    pub fn new(seed: u64, target: &str, number: u64) -> Self {
        let name = target.bytes().fold(seed, |state, byte| Self(state ^ u64::from(byte)).next());
        Self(Self(name).next() ^ number)
    }

    /// Any number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number below `limit`, or 0 if that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % (limit.max(1) as u64)) as usize
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of some.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Mostly small numbers from 1, rarely up to `most`.
    pub fn few(&mut self, most: usize) -> usize {
        let mut count = 1;
        while count < most && !self.once_in(2) {
            count += 1;
        }
        count
    }
}
