//! The place of a maximum inside its pooling window, in as few bits as the window needs; exact.
//!
//! Max pooling writes this form itself, and its gradient reads it as it is. Indices count row by row inside the window;
//! a word holds as many of them as fit whole, the first in the lowest bits.

/// Bits that tell `places` places apart.
pub fn bits(places: usize) -> usize {
    places.max(2).next_power_of_two().trailing_zeros() as usize
}

/// Indices in one word.
pub fn per_word(bits: usize) -> usize {
    32 / bits
}

/// Words for this many indices.
pub fn words(elements: usize, bits: usize) -> usize {
    elements.div_ceil(per_word(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_few_bits_as_the_window_needs() {
        assert_eq!([2, 4, 5, 9, 16, 25].map(bits), [1, 2, 3, 4, 4, 5]);
        assert_eq!(words(17, 2), 2);
        assert_eq!(words(7, 4), 1);
        assert_eq!(words(9, 5), 2);
    }
}
