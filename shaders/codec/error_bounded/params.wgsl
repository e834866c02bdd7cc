{# Layout of the words and the codes of a tile, for both directions; see crates/tensor/src/codec/error_bounded/mod.rs.
   Variables: masked. -#}
struct Params {
    elements: u32,
    tiles: u32,
    // Vectors in a row.
    row: u32,
    // Where the payload begins, and how many words it may have.
    payload: u32,
    capacity: u32,
}

// Vectors of four elements: a block shares k, a tile shares its place and its prediction.
const BLOCK = 16u;
const TILE = 128u;
// Words before the tiles' heads: the step, the center, two spare.
const HEAD = 4u;

// How a tile is coded, in the two upper bits of its first word; below them its place in the payload.
const PLAIN = 0u;
const DELTA = 1u;
const LORENZO = 2u;
const RAW = 3u;
// The first word of a tile that found no room.
const LOST = 0xffffffffu;

// The last level of the vector before, and of the one above it.
struct Walk {
    left: i32,
    corner: i32,
}

fn lanes_of(i: u32) -> vec4<u32> {
    return vec4(4u * i) + vec4(0u, 1u, 2u, 3u);
}

{% if masked %}
// No positive value becomes zero: level 0 is decoded to a place inside its step, too.
fn level(v: vec4<f32>, inverse: f32) -> vec4<i32> {
    return vec4<i32>(max(v, vec4<f32>()) * inverse);
}

fn value_of(q: vec4<i32>, step: f32, center: f32) -> vec4<f32> {
    return (vec4<f32>(q) + center) * step;
}
{% else %}
fn level(v: vec4<f32>, inverse: f32) -> vec4<i32> {
    return vec4<i32>(round(v * inverse));
}

fn value_of(q: vec4<i32>, step: f32, center: f32) -> vec4<f32> {
    return vec4<f32>(q) * step;
}
{% endif %}
