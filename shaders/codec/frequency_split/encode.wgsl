// The frequency split of DIVISION (arXiv 2208.04187), see crates/tensor/src/codec/frequency_split.rs for layout and
// promise: means of B×B blocks in bf16; h = x − mean in Q = {{ bits }} bits, q = ⌊(h − m)/s + u⌋, stochastically rounded.
// m is rounded down and s up in bf16, so that m ≤ h ≤ m + s·(2^Q − 1). A plane that is not finite gets NaN for m and s.
// Variables: bits, tiles. Dispatch: with tiles one workgroup of 64 for each plane, without one invocation of 8.
struct Params {
{% include "codec/frequency_split/params.wgsl" %}
    stream: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> control: array<u32>;
@group(0) @binding(3) var<storage, read_write> words: array<u32>;

{% include "parts/grid.wgsl" %}

{% include "parts/bits.wgsl" %}

{% include "parts/random.wgsl" %}

{% include "parts/bf16.wgsl" %}

const LEVELS = {{ 2 ** bits - 1 }}.0;
const PER_WORD = {{ 32 // bits }}u;

fn mean_of_block(plane: u32, block: u32) -> f32 {
    let y0 = (block / p.across) * p.block;
    let x0 = (block % p.across) * p.block;
    let y1 = min(y0 + p.block, p.height);
    let x1 = min(x0 + p.block, p.width);
    var sum = 0.0;
    for (var y = y0; y < y1; y++) {
        let row = (plane * p.height + y) * p.width;
        for (var column = x0; column < x1; column++) {
            sum += x[row + column];
        }
    }
    return sum / f32((y1 - y0) * (x1 - x0));
}

// Element i of a plane without the mean of its block.
fn rest(plane: u32, base: u32, i: u32) -> f32 {
    let block = (i / p.width / p.block) * p.across + (i % p.width) / p.block;
    let pair = words[base + 1u + block / 2u];
    return x[plane * p.height * p.width + i] - bf16_value(pair >> (16u * (block % 2u)));
}

// One word of means.
fn put_means(plane: u32, base: u32, pair: u32, blocks: u32) {
    var packed = bf16_nearest(mean_of_block(plane, 2u * pair));
    if 2u * pair + 1u < blocks {
        packed |= bf16_nearest(mean_of_block(plane, 2u * pair + 1u)) << 16u;
    }
    words[base + 1u + pair] = packed;
}

// The range of the rests, outwards in bf16: m in the low half, s in the high half.
fn range_of(low: f32, high: f32) -> u32 {
    if !is_finite(low) || !is_finite(high) {
        return 0x7fc07fc0u;
    }
    let m = bf16_down(low);
    // A little more than the width, so that division and product may round either way.
    let width = (high - bf16_value(m)) * (1.0 + 1e-6);
    return m | (bf16_up(width / LEVELS) << 16u);
}

// One word of codes.
fn put_codes(plane: u32, base: u32, word: u32, key: u32) {
    let range = words[base];
    let m = bf16_value(range);
    let s = bf16_value(range >> 16u);
    let elements = p.height * p.width;
    var packed = 0u;
    if is_finite(s) && s > 0.0 {
        for (var j = 0u; j < min(PER_WORD, elements - word * PER_WORD); j++) {
            let i = word * PER_WORD + j;
            let u = unit(hash(key + plane * elements + i));
            let q = clamp(floor((rest(plane, base, i) - m) / s + u), 0.0, LEVELS);
            packed |= u32(q) << ({{ bits }}u * j);
        }
    }
    words[base + p.head + word] = packed;
}

{% if tiles %}
var<workgroup> lows: array<f32, 64>;
var<workgroup> highs: array<f32, 64>;
var<workgroup> broken: array<u32, 64>;
{% endif %}

@compute @workgroup_size({{ 64 if tiles else 8 }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
{% set step = "64u" if tiles else "1u" %}
{% set start = "lane" if tiles else "0u" %}
    let plane = group_index(group, groups){{ "" if tiles else " * 8u + lane" }};
{% if tiles %}
    let here = plane < p.planes;
{% else %}
    if plane >= p.planes {
        return;
    }
    let here = true;
{% endif %}
    let base = plane * (p.head + p.codes);
    let elements = p.height * p.width;
    let blocks = p.across * ((p.height + p.block - 1u) / p.block);
    let key = hash(hash(hash(p.stream) ^ control[1]) ^ control[0]);
    if here {
        for (var pair = {{ start }}; pair < (blocks + 1u) / 2u; pair += {{ step }}) {
            put_means(plane, base, pair, blocks);
        }
    }
{% if tiles %}
    storageBarrier();
{% endif %}
    var low = 3.4e38;
    var high = -3.4e38;
    var odd = 0u;
    if here {
        for (var i = {{ start }}; i < elements; i += {{ step }}) {
            let h = rest(plane, base, i);
            low = min(low, h);
            high = max(high, h);
            odd |= select(1u, 0u, is_finite(h));
        }
    }
{% if tiles %}
    lows[lane] = low;
    highs[lane] = high;
    broken[lane] = odd;
    for (var width = 32u; width > 0u; width >>= 1u) {
        workgroupBarrier();
        if lane < width {
            lows[lane] = min(lows[lane], lows[lane + width]);
            highs[lane] = max(highs[lane], highs[lane + width]);
            broken[lane] |= broken[lane + width];
        }
    }
    if lane == 0u && here {
        words[base] = select(range_of(lows[0], highs[0]), 0x7fc07fc0u, broken[0] != 0u);
    }
    storageBarrier();
{% else %}
    words[base] = select(range_of(low, high), 0x7fc07fc0u, odd != 0u);
{% endif %}
    if here {
        for (var word = {{ start }}; word < p.codes; word += {{ step }}) {
            put_codes(plane, base, word, key);
        }
    }
}
