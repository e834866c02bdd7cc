// The frequency split of DIVISION (arXiv 2208.04187), see crates/tensor/src/codec/frequency_split.rs for layout and
// promise: means of B×B blocks in bf16; h = x − mean in Q = {{ bits }} bits, see parts/stochastic.wgsl, or with parity
// parts/division.wgsl.
// Variables: bits, vector (rows and cells are whole vectors), parity, tiles, run, wide (lanes of the widest cell).
// Dispatch: with tiles one workgroup of 64 for each plane, without one invocation of 8.
{% include "parts/step.wgsl" %}

{% include "codec/frequency_split/params.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<Packet>;
@group(0) @binding(2) var<storage, read_write> control: array<u32>;
@group(0) @binding(3) var<storage, read_write> words: array<u32>;

{% include "parts/grid.wgsl" %}

{% include "parts/bits.wgsl" %}

{% include "parts/min_max.wgsl" %}

{% include "parts/random.wgsl" %}

{% if parity %}
{% include "parts/division.wgsl" %}
{% else %}
{% include "parts/stochastic.wgsl" %}
{% endif %}

// The sum and the extremes of a rectangle.
struct Look {
    sum: Packet,
    low: Packet,
    high: Packet,
}

fn look(plane: u32, y0: u32, y1: u32, x0: u32, x1: u32) -> Look {
    var seen = Look(Packet(), Packet(3.4e38), Packet(-3.4e38));
    for (var y = y0; y < y1; y++) {
        let row = (plane * p.height + y) * p.width / STEP;
        // In a narrower one the last column is looked at again, which changes no extreme.
{% for j in range(wide) %}
        {
            let column = x0 / STEP + {{ j }}u;
            let value = x[row + min(column, x1 / STEP - 1u)];
            seen.sum += select(Packet(), value, column < x1 / STEP);
            seen.low = min(seen.low, value);
            seen.high = max(seen.high, value);
        }
{% endfor %}
    }
    return seen;
}

// Stores nothing; gives the rounded mean of a cell, and the extremes of its rests in one pass: rounding is monotonic, so
// the extremes of x − mean are the extremes of x, minus the mean.
fn measure(plane: u32, down: u32, right: u32, mean: ptr<function, u32>) -> MinMax {
    let y0 = begin_of(down, p.down, p.height);
    let y1 = begin_of(down + 1u, p.down, p.height);
    let x0 = begin_of(right, p.across, p.width);
    let x1 = begin_of(right + 1u, p.across, p.width);
    let seen = look(plane, y0, y1, x0, x1);
    // One odd element makes the sum odd.
    let sum = across(seen.sum);
{% if parity %}
    // The mean is that of a block that may lie elsewhere.
    let block = look(plane, down * p.block, (down + 1u) * p.block, right * p.block, (right + 1u) * p.block);
    *mean = bf16_nearest(across(block.sum) / f32(p.block * p.block));
{% else %}
    *mean = bf16_nearest(sum / f32((y1 - y0) * (x1 - x0)));
{% endif %}
    let center = bf16_value(*mean);
    return MinMax(least(seen.low) - center, most(seen.high) - center, is_finite(sum));
}

// Means are written before.
fn put_codes(base: u32, word: u32, codes: u32) {
    if is_beside(word) {
        words[base + p.head - 1u] |= codes << 16u;
    } else {
        words[base + p.head + word] = codes;
    }
}

{% if tiles %}
fn measure_cell(plane: u32, cell: u32, mean: ptr<function, u32>) -> MinMax {
    return measure(plane, cell / p.across, cell % p.across, mean);
}

// Writes one word of means; gives the extremes of both cells.
fn put_means(plane: u32, base: u32, pair: u32, cells: u32) -> MinMax {
    var mean = 0u;
    var min_max = measure_cell(plane, 2u * pair, &mean);
    var packed = mean;
    if 2u * pair + 1u < cells {
        min_max = join(min_max, measure_cell(plane, 2u * pair + 1u, &mean));
        packed |= mean << 16u;
    }
    words[base + 1u + pair] = packed;
    return min_max;
}

var<workgroup> min_maxes: array<MinMax, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let plane = group_index(group, groups);
    let here = plane < p.planes;
    let base = plane * p.stride;
    let elements = p.height * p.width;
    let cells = p.down * p.across;
    let stream = stream_of(p.stream, control[CONTROL_SEED], control[CONTROL_STEP]);
    var min_max = NOTHING;
    if here {
        for (var pair = lane; pair < (cells + 1u) / 2u; pair += 64u) {
            min_max = join(min_max, put_means(plane, base, pair, cells));
        }
    }
    min_maxes[lane] = min_max;
    for (var width = 32u; width > 0u; width >>= 1u) {
        workgroupBarrier();
        if lane < width {
            min_maxes[lane] = join(min_maxes[lane], min_maxes[lane + width]);
        }
    }
    // Means and extremes are read by all invocations of the workgroup.
    storageBarrier();
    workgroupBarrier();
    let coder = coder_of(min_maxes[0]);
    if lane == 0u && here {
        words[base] = coder.range;
    }
    var beside = 0u;
    if here {
        for (var word = lane; word < p.codes; word += 64u) {
            var packed = 0u;
            for (var j = 0u; j < min(PER_WORD, elements - word * PER_WORD); j += STEP) {
                let i = word * PER_WORD + j;
                let value = x[(plane * elements + i) / STEP];
                let row = cell_at(i / p.width, p.down, p.height) * p.across;
                let mean = mean_of(base, row + cell_at(i % p.width, p.across, p.width));
                packed |= codes_of(value - mean, coder, stream, p.first + plane * elements + i) << ({{ bits }}u * j);
            }
            if is_beside(word) {
                beside = packed;
            } else {
                put_codes(base, word, packed);
            }
        }
    }
    // The word of the last mean changes only when all have read it.
    workgroupBarrier();
    if beside != 0u {
        put_codes(base, p.codes - 1u, beside);
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
    let base = plane * p.stride;
    var min_max = NOTHING;
    var cell = 0u;
    var pair = 0u;
    for (var down = 0u; down < p.down; down++) {
        for (var right = 0u; right < p.across; right++) {
            var mean = 0u;
            min_max = join(min_max, measure(plane, down, right, &mean));
            // A word is written once for each of its means, which costs less than a branch.
            pair = select(pair | (mean << 16u), mean, cell % 2u == 0u);
            words[base + 1u + cell / 2u] = pair;
            cell++;
        }
    }
    let coder = coder_of(min_max);
    words[base] = coder.range;
    let stream = stream_of(p.stream, control[CONTROL_SEED], control[CONTROL_STEP]);
    // Word by word along the rows, so that no index has to be divided.
    let whole = p.height * p.width / PER_WORD;
    var at = plane * p.height * p.width / STEP;
    let stop = at + p.height * p.width / STEP;
    var place = Place();
    for (var word = 0u; word < whole; word++) {
        var packed = 0u;
{% for start in range(0, 32, bits * run) %}
        let mean_{{ start }} = mean_of(base, cell_of(place));
        place = after(place);
{% for bit in range(start, start + bits * run, bits * step) %}
        packed |= codes_of(x[at] - mean_{{ start }}, coder, stream, p.first + at * STEP) << {{ bit }}u;
        at++;
{% endfor %}
{% endfor %}
        words[base + p.head + word] = packed;
    }
    if whole == p.codes {
        return;
    }
    var packed = 0u;
    var filled = 0u;
    while at < stop {
        let mean = mean_of(base, cell_of(place));
        place = after(place);
        for (var i = 0u; i < {{ run }}u && at < stop; i += STEP) {
            packed |= codes_of(x[at] - mean, coder, stream, p.first + at * STEP) << filled;
            filled += STEP_BITS;
            at++;
        }
    }
    put_codes(base, whole, packed);
}
{% endif %}
