// The frequency split of DIVISION (arXiv 2208.04187), see crates/tensor/src/codec/frequency_split.rs for layout and
// promise: means of B×B blocks in bf16; h = x − mean in Q = {{ bits }} bits, see parts/stochastic.wgsl.
// Variables: bits, vector (rows and blocks are whole vectors), tiles.
// Dispatch: with tiles one workgroup of 64 for each plane, without one invocation of 8.
{% include "codec/frequency_split/params.wgsl" %}

{% include "parts/lane.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<Lane>;
@group(0) @binding(2) var<storage, read_write> control: array<u32>;
@group(0) @binding(3) var<storage, read_write> words: array<u32>;

{% include "parts/grid.wgsl" %}

{% include "parts/bits.wgsl" %}

{% include "parts/random.wgsl" %}

{% include "parts/bf16.wgsl" %}

{% include "parts/stochastic.wgsl" %}

// Stores nothing; gives the rounded mean of a block, and the extremes of its rests in one pass: rounding is monotonic, so
// the extremes of x − mean are the extremes of x, minus the mean.
fn look(plane: u32, block: u32, mean: ptr<function, u32>) -> Extent {
    let y0 = (block / p.across) * p.block;
    let x0 = (block % p.across) * p.block;
    let y1 = min(y0 + p.block, p.height);
    let x1 = min(x0 + p.block, p.width);
    var sum = Lane();
    var low = Lane({{ "vec4(" if vector else "" }}3.4e38{{ ")" if vector else "" }});
    var high = -low;
    for (var y = y0; y < y1; y++) {
        let row = (plane * p.height + y) * p.width / STEP;
        for (var column = x0 / STEP; column < x1 / STEP; column++) {
            let value = x[row + column];
            sum += value;
            low = min(low, value);
            high = max(high, value);
        }
    }
    let total = across(sum);
    // One odd element makes the sum odd.
    let finite = is_finite(total);
    *mean = bf16_nearest(total / f32((y1 - y0) * (x1 - x0)));
    let center = bf16_value(*mean);
    return Extent(least(low) - center, most(high) - center, finite);
}

// Writes one word of means; gives the extremes of both blocks.
fn put_means(plane: u32, base: u32, pair: u32, blocks: u32) -> Extent {
    var mean = 0u;
    var extent = look(plane, 2u * pair, &mean);
    var packed = mean;
    if 2u * pair + 1u < blocks {
        extent = join(extent, look(plane, 2u * pair + 1u, &mean));
        packed |= mean << 16u;
    }
    words[base + 1u + pair] = packed;
    return extent;
}

{% if tiles %}
var<workgroup> extents: array<Extent, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let plane = group_index(group, groups);
    let here = plane < p.planes;
    let base = plane * (p.head + p.codes);
    let elements = p.height * p.width;
    let blocks = p.across * ((p.height + p.block - 1u) / p.block);
    let key = key_of(p.stream);
    var extent = NOTHING;
    if here {
        for (var pair = lane; pair < (blocks + 1u) / 2u; pair += 64u) {
            extent = join(extent, put_means(plane, base, pair, blocks));
        }
    }
    extents[lane] = extent;
    for (var width = 32u; width > 0u; width >>= 1u) {
        workgroupBarrier();
        if lane < width {
            extents[lane] = join(extents[lane], extents[lane + width]);
        }
    }
    if lane == 0u && here {
        words[base] = range_of(extents[0]);
    }
    // Means and range are read by all invocations of the workgroup.
    storageBarrier();
    if here {
        let m = bf16_value(words[base]);
        let scale = scale_of(words[base]);
        for (var word = lane; word < p.codes; word += 64u) {
            var packed = 0u;
            for (var j = 0u; j < min(PER_WORD, elements - word * PER_WORD); j += STEP) {
                let i = word * PER_WORD + j;
                let value = x[(plane * elements + i) / STEP];
                let mean = mean_of(base, block_of(i));
                packed |= codes_of(value - mean, m, scale, key + plane * elements + i) << ({{ bits }}u * j);
            }
            words[base + p.head + word] = packed;
        }
    }
}
{% else %}
@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let plane = group_index(group, groups) * 8u + lane;
    if plane >= p.planes {
        return;
    }
    let base = plane * (p.head + p.codes);
    let blocks = p.across * ((p.height + p.block - 1u) / p.block);
    var extent = NOTHING;
    for (var pair = 0u; pair < (blocks + 1u) / 2u; pair++) {
        extent = join(extent, put_means(plane, base, pair, blocks));
    }
    let range = range_of(extent);
    words[base] = range;
    let m = bf16_value(range);
    let scale = scale_of(range);
    // Row by row, so that no index has to be divided.
    var counter = key_of(p.stream) + plane * p.height * p.width;
    var at = plane * p.height * p.width / STEP;
    var word = base + p.head;
    var packed = 0u;
    var filled = 0u;
    for (var y = 0u; y < p.height; y++) {
        var block = (y / p.block) * p.across;
        for (var x0 = 0u; x0 < p.width; x0 += p.block) {
            let mean = mean_of(base, block);
            for (var column = x0; column < min(x0 + p.block, p.width); column += STEP) {
                packed |= codes_of(x[at] - mean, m, scale, counter) << filled;
                filled += STEP_BITS;
                if filled == 32u {
                    words[word] = packed;
                    word++;
                    packed = 0u;
                    filled = 0u;
                }
                at++;
                counter += STEP;
            }
            block++;
        }
    }
    if filled > 0u {
        words[word] = packed;
    }
}
{% endif %}
