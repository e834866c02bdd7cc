//! Images that are nothing but noise: what memory and time a step takes does not depend on what is on them.

use super::catalogue::Spec;
use super::{DataError, Split};

/// The same every time. Labels go through the classes in turn.
pub(super) fn split(spec: &Spec, samples: usize, seed: u64) -> Result<Split, DataError> {
    let classes = spec.class_names.len();
    let bytes = samples * spec.shape.iter().product::<usize>();
    let mut images = Vec::with_capacity(bytes.next_multiple_of(8));
    let mut state = seed;
    while images.len() < bytes {
        // SplitMix64: a counter, mixed.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        images.extend((word ^ (word >> 31)).to_le_bytes());
    }
    images.truncate(bytes);
    let labels = (0..samples).map(|sample| (sample % classes) as u32).collect();
    Split::new(spec.shape, classes, images, labels)
}
