{# Layout of the words and the codes of a tile, for both directions; see crates/tensor/src/codec/error_bounded/mod.rs. -#}
struct Params {
    // Elements and tiles of this slice of the value, and how many of both lie in front of it.
    elements: u32,
    tiles: u32,
    first: u32,
    first_tile: u32,
    // Vectors of four elements: of a tile, and of what is divided into tiles together, which has so many of them.
    tile: u32,
    run: u32,
    tiles_of_run: u32,
    // Where the payload begins, and how many words it may have.
    payload: u32,
    capacity: u32,
}

// Words before the tiles' heads: the step, the dither's start, two spare.
const HEAD = 4u;

// How a tile is coded, in the two upper bits of its first word; below them its place in the payload.
const PLAIN = 0u;
const DELTA = 1u;
const ROUNDED = 2u;
const RAW = 3u;
// The first word of a tile that overflowed.
const LOST = 0xffffffffu;

// The vectors of a tile, from the first on to that behind the last. A tile shares its place and its mode.
struct Tile {
    start: u32,
    stop: u32,
}

fn tile_at(tile: u32) -> Tile {
    let run = tile / p.tiles_of_run;
    let start = run * p.run + (tile % p.tiles_of_run) * p.tile;
    return Tile(start, min(start + p.tile, (run + 1u) * p.run));
}

// Where the head of a tile begins.
fn head_of(tile: u32) -> u32 {
    return HEAD + 2u * (p.first_tile + tile);
}

// Vectors of a block, which shares k: an eighth of a tile, in whole words of a mask.
fn block_size() -> u32 {
    return (p.tile + 63u) / 64u * 8u;
}

fn lanes_of(i: u32) -> vec4<u32> {
    return vec4(4u * i) + vec4(0u, 1u, 2u, 3u);
}

// In [0, 1), of the element and the step alone: `start` is the first element's number. No two elements' numbers have to do with each other.
fn dither(i: u32, start: u32) -> vec4<f32> {
    let number = lanes_of(i) + vec4(start);
    let turned = (number ^ (number >> vec4(15u))) * vec4(739982445u);
    let mixed = (turned ^ (turned >> vec4(12u))) * vec4(695872825u);
    return vec4<f32>(mixed >> vec4(8u)) * (1.0 / 16777216.0);
}

fn level(v: vec4<f32>, d: vec4<f32>, inverse: f32) -> vec4<i32> {
    return vec4<i32>(floor(v * inverse + d));
}

// With d = ½ the level itself, so that zero comes back as zero.
fn value_of(q: vec4<i32>, d: vec4<f32>, step: f32) -> vec4<f32> {
    return ((vec4<f32>(q) - d) + 0.5) * step;
}
