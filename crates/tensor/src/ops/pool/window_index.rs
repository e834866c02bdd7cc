//! The place of a maximum inside its pooling window, in as few bits as the window needs; exact.
//!
//! Max pooling writes this form itself, and its gradient reads it as it is. Indices count row by row inside the window;
//! they are the digits of words to the base of the window's places, the first the lowest. So ten indices of 3×3 windows
//! share a word, where whole bits for each would let in eight.

use crate::ir::Kernel;

/// Indices in one word: the most d with `places`^d ≤ 2^32.
pub fn per_word(places: usize) -> usize {
    let base = places.max(2) as u64;
    (1..).take_while(|&digits| base.checked_pow(digits).is_some_and(|numbers| numbers <= 1 << 32)).count()
}

/// Words for this many indices.
pub fn words(elements: usize, places: usize) -> usize {
    elements.div_ceil(per_word(places))
}

/// The kernel with the variables of `parts/window_index.wgsl`.
pub(crate) fn packed(kernel: Kernel, places: usize) -> Kernel {
    // Shifts and masks in the place of divisions, where they do.
    let bits = if places.is_power_of_two() { places.trailing_zeros() } else { 0 };
    kernel.variable("places", places).variable("per_word", per_word(places)).variable("bits", bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_few_bits_as_the_window_needs() {
        assert_eq!([1, 2, 4, 6, 8, 9, 16, 25].map(per_word), [32, 32, 16, 12, 10, 10, 8, 6]);
        assert_eq!(words(17, 4), 2);
        assert_eq!(words(10, 9), 1);
        assert_eq!(words(11, 9), 2);
    }
}
