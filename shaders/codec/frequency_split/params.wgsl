{# Params of both directions, and what they share. A plane takes `head + codes` words: one of range, the means of its
   blocks two to a word, then the codes. With vectors four elements of a row, all in one block, are worked on at a time.
   Variables: bits, vector. -#}
struct Params {
    planes: u32,
    height: u32,
    width: u32,
    block: u32,
    across: u32,
    head: u32,
    codes: u32,
    stream: u32,
}

{% include "parts/codes.wgsl" %}

fn mean_of(base: u32, block: u32) -> f32 {
    return bf16_value(words[base + 1u + block / 2u] >> (16u * (block % 2u)));
}

// The block of element i of a plane.
fn block_of(i: u32) -> u32 {
    return (i / p.width / p.block) * p.across + (i % p.width) / p.block;
}
