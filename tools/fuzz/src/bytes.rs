//! Changes to files of which nothing is known.

use crate::random::Random;

/// No input is made larger than this by changing another.
const MOST: usize = 1 << 20;
/// Numbers at which programs break.
const EDGES: &[u64] = &[
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// A few changes at places chosen by chance; `donor` gives pieces.
pub fn mutate(input: &[u8], donor: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..random.few(8) {
        change(&mut bytes, donor, random);
    }
    bytes.truncate(MOST);
    bytes
}

fn change(bytes: &mut Vec<u8>, donor: &[u8], random: &mut Random) {
    let at = place(bytes.len(), random);
    match random.below(9) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.next() as u8;
            }
        }
        2 | 3 => number(bytes, at, random),
        4 => bytes.truncate(at),
        5 => drop(bytes.drain(at..(at + random.few(64) * random.few(64)).min(bytes.len()))),
        6 => {
            let piece = bytes[at..(at + random.few(64)).min(bytes.len())].to_vec();
            for _ in 0..random.few(16) {
                bytes.splice(at..at, piece.iter().copied());
            }
        }
        7 => {
            let from = random.below(donor.len());
            let piece = &donor[from..(from + random.few(64) * random.few(64)).min(donor.len())];
            let end = if random.once_in(2) { at } else { (at + piece.len()).min(bytes.len()) };
            bytes.splice(at..end, piece.iter().copied());
        }
        _ => {
            let filler = random.pick(&[0, 1, 0x80, 0xff, b'[', b'(', b'{', b'9', b' ']);
            let count = random.few(12).pow(4);
            bytes.splice(at..at, std::iter::repeat_n(filler, count));
        }
    }
}

/// Half of the changes go to the head, where formats say what they are.
fn place(length: usize, random: &mut Random) -> usize {
    if random.once_in(2) { random.below(length.min(96) + 1) } else { random.below(length + 1) }
}

/// Puts a number at which programs break over some bytes, of any width and order; or moves one that is there by a little.
fn number(bytes: &mut [u8], at: usize, random: &mut Random) {
    let width = random.pick(&[1, 2, 4, 8]);
    let Some(field) = bytes.get_mut(at..at + width) else { return };
    let little = random.once_in(2);
    let mut word = [0; 8];
    word[..width].copy_from_slice(field);
    if !little {
        word[..width].reverse();
    }
    let old = u64::from_le_bytes(word);
    let new = match random.below(4) {
        0 => old.wrapping_add(random.few(8) as u64),
        1 => old.wrapping_sub(random.few(8) as u64),
        _ => random.pick(EDGES),
    };
    let mut word = new.to_le_bytes();
    if !little {
        word[..width].reverse();
    }
    field.copy_from_slice(&word[..width]);
}
