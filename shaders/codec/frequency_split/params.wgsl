{# Params of both directions, and what they share. A plane takes `stride` words: one of range and the means of its cells
   two to a word, together `head`, then `codes` words of codes. Where the last of these would lie behind the plane, it lies
   in the half that the last mean leaves. With vectors four elements of a row, all in one cell, are worked on at a time.
   A cell is a block. With parity, as the authors of DIVISION have it, only whole blocks have cells, and where there is a
   remainder the cells' means are stretched over the whole plane.
   Variables: bits, vector, parity. -#}
struct Params {
    planes: u32,
    height: u32,
    width: u32,
    block: u32,
    down: u32,
    across: u32,
    head: u32,
    codes: u32,
    stride: u32,
    stream: u32,
}

{% include "parts/lane.wgsl" %}

{% include "parts/codes.wgsl" %}

{% include "parts/bf16.wgsl" %}

// Whether a word of codes lies beside the last mean.
fn is_beside(word: u32) -> bool {
    return p.head + word == p.stride;
}

fn mean_of(base: u32, cell: u32) -> f32 {
    return bf16_value(words[base + 1u + cell / 2u] >> (16u * (cell % 2u)));
}

// The cell, of so many along an extent, to which a place belongs; and where a cell begins.
fn cell_at(place: u32, cells: u32, extent: u32) -> u32 {
    return {{ "place * cells / extent" if parity else "place / p.block" }};
}

fn begin_of(cell: u32, cells: u32, extent: u32) -> u32 {
    return {{ "(cell * extent + cells - 1u) / cells" if parity else "min(cell * p.block, extent)" }};
}
