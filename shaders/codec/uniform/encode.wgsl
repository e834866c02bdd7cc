// Groups of {{ group }} consecutive elements in {{ bits }} bits, see crates/tensor/src/codec/uniform.rs for layout and
// promise, parts/stochastic.wgsl for ranges and codes.
// Variables: bits, group, tiles.
// Dispatch: with tiles one workgroup for each group, an invocation for each four elements; without one invocation of 8 for
// each group.
{% include "parts/step.wgsl" %}

{% include "codec/uniform/params.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<Packet>;
@group(0) @binding(2) var<storage, read_write> control: array<u32>;
@group(0) @binding(3) var<storage, read_write> words: array<u32>;

{% include "parts/grid.wgsl" %}

{% include "parts/bits.wgsl" %}

{% include "parts/min_max.wgsl" %}

{% include "parts/random.wgsl" %}

{% include "parts/bf16.wgsl" %}

{% include "parts/stochastic.wgsl" %}

// Vector i. Beyond the last element its first one is repeated, which changes no range.
fn load(i: u32) -> Packet {
    let value = x[i];
    return select(value.xxxx, value, vec4(4u * i) + vec4(0u, 1u, 2u, 3u) < vec4(p.elements));
}

// The largest magnitude so far, as bits: comparisons of floats may miss a NaN.
fn larger(top: vec4<u32>, value: Packet) -> vec4<u32> {
    return max(top, bitcast<vec4<u32>>(value) & vec4(0x7fffffffu));
}

fn min_max_of(low: Packet, high: Packet, top: vec4<u32>) -> MinMax {
    return MinMax(least(low), most(high), all(top < vec4(0x7f800000u)));
}

{% if tiles %}
var<workgroup> min_maxes: array<MinMax, GROUP>;
var<workgroup> parts: array<u32, GROUP>;

@compute @workgroup_size(GROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = group_index(workgroup, workgroups);
    let i = group * GROUP + lane;
    let vectors = (p.elements + 3u) / 4u;
    let here = i < vectors;
    var value = Packet();
    var min_max = NOTHING;
    if here {
        value = load(i);
        min_max = min_max_of(value, value, larger(vec4<u32>(), value));
    }
    min_maxes[lane] = min_max;
    for (var width = GROUP / 2u; width > 0u; width >>= 1u) {
        workgroupBarrier();
        if lane < width {
            min_maxes[lane] = join(min_maxes[lane], min_maxes[lane + width]);
        }
    }
    workgroupBarrier();
    let coder = coder_of(min_maxes[0]);
    var codes = 0u;
    if here {
        codes = codes_of(value, coder, stream_of(p.stream, control[CONTROL_SEED], control[CONTROL_STEP]), p.first + 4u * i);
    }
    parts[lane] = codes << (STEP_BITS * (lane % WORD));
    workgroupBarrier();
    if here && lane % WORD == 0u {
        var packed = parts[lane];
        for (var j = 1u; j < WORD; j++) {
            packed |= parts[lane + j];
        }
        words[p.groups + i / WORD] = packed;
    }
    if here && lane == 0u {
        words[group] = coder.range;
    }
}
{% else %}
@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = group_index(workgroup, workgroups) * 8u + lane;
    if group >= p.groups {
        return;
    }
    let start = group * GROUP;
    let end = min(start + GROUP, (p.elements + 3u) / 4u);
    var low = load(start);
    var high = low;
    var top = vec4<u32>();
    for (var i = start; i < end; i++) {
        let value = load(i);
        low = min(low, value);
        high = max(high, value);
        top = larger(top, value);
    }
    let coder = coder_of(min_max_of(low, high, top));
    words[group] = coder.range;
    let stream = stream_of(p.stream, control[CONTROL_SEED], control[CONTROL_STEP]);
    for (var i = start; i < end; i += WORD) {
        var packed = 0u;
        for (var j = 0u; j < min(WORD, end - i); j++) {
            packed |= codes_of(load(i + j), coder, stream, p.first + 4u * (i + j)) << (STEP_BITS * j);
        }
        words[p.groups + i / WORD] = packed;
    }
}
{% endif %}
