//! Parquet files as hubs publish them.

use super::Target;
use crate::bytes;
use frugal_trainer::Error;
use std::path::Path;

pub const TARGET: Target = Target { name: "parquet", file: "set.parquet", seeds, mutate, attempt };

fn seeds() -> Vec<Vec<u8>> {
    vec![include_bytes!("../../../../crates/data/tests/fixtures/own/hub/data/train-00000-of-00002.parquet").to_vec()]
}

/// The tail says what is where, so half of the changes go there.
fn mutate(input: &[u8], donor: &[u8], random: &mut crate::random::Random) -> Vec<u8> {
    if random.once_in(2) {
        return bytes::mutate(input, donor, random);
    }
    let (head, tail) = input.split_at(input.len() - random.below(input.len().min(1500)));
    [head, &bytes::mutate(tail, donor, random)].concat()
}

fn attempt(path: &Path) -> Result<(), Error> {
    super::open_and_read(path, Some([4, 4]))
}
