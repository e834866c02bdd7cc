{# Params of both directions, and what they share. A plane takes `stride` words: one of range and the means of its cells
   two to a word, together `head`, then `codes` words of codes. Where the last of these would lie behind the plane, it lies
   in the half that the last mean leaves. With vectors four elements of a row, all in one cell, are worked on at a time.
   A cell is a block. With parity, as the authors of DIVISION have it, only whole blocks have cells, and where there is a
   remainder the cells' means are stretched over the whole plane.
   Variables: bits, vector, parity, tiles, run (elements of a word of codes that always lie in one cell). -#}
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
    // The number of the first element: those of the whole in front of a part.
    first: u32,
}

{% include "parts/packet.wgsl" %}

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

{% if not tiles %}
// Where a walk along the rows of a plane has come to: the column, and of each axis the cell and how far in it.
struct Place {
    column: u32,
    right: Along,
    down: Along,
}

// Of places·cells/extent (or place/block) the whole and what is left.
struct Along {
    cell: u32,
    rest: u32,
}

fn moved(along: Along, by: u32, cells: u32, extent: u32) -> Along {
    let rest = along.rest + {{ "by * cells" if parity else "by" }};
    let most = {{ "extent" if parity else "p.block" }};
    let beyond = (rest >= most) & (along.cell + 1u < cells);
    return Along(along.cell + u32(beyond), select(rest, rest - most, beyond));
}

// A run on.
fn after(place: Place) -> Place {
    let column = place.column + {{ run }}u;
    let right = moved(place.right, {{ run }}u, p.across, p.width);
    let turns = column == p.width;
    let down = moved(place.down, u32(turns), p.down, p.height);
    let inside = u32(!turns);
    return Place(column * inside, Along(right.cell * inside, right.rest * inside), down);
}

fn cell_of(place: Place) -> u32 {
    return place.down.cell * p.across + place.right.cell;
}
{% endif %}
