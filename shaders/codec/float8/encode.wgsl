// Groups of {{ group }} consecutive elements as 8-bit floats (E4M3) with a scale, see crates/tensor/src/codec/float8.rs for
// layout and promise. Only integer arithmetic is used, so that no driver rounds, flushes or contracts differently.
// Variables: group, tiles.
// Dispatch: with tiles one workgroup for each group, an invocation for each four elements; without one invocation of 8 for
// each group.
{% include "codec/float8/params.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> words: array<u32>;

{% include "parts/grid.wgsl" %}

const INFINITE = 0x7f800000u;

// The bits of vector i. There is nothing beyond the last element.
fn load(i: u32) -> vec4<u32> {
    return select(vec4<u32>(), bitcast<vec4<u32>>(x[i]), vec4(4u * i) + vec4(0u, 1u, 2u, 3u) < vec4(p.elements));
}

// The larger of `top` and the finite magnitudes of a vector, as bits.
fn larger(top: u32, bits: vec4<u32>) -> u32 {
    let size = bits & vec4(0x7fffffffu);
    let finite = select(size, vec4<u32>(), size >= vec4(INFINITE));
    return max(top, max(max(finite.x, finite.y), max(finite.z, finite.w)));
}

// Exponent and three bits of significand, rounded to the nearest, ties to even; a carry goes into the exponent.
fn rounded(size: vec4<u32>) -> vec4<u32> {
    return (size + vec4(0x7ffffu) + ((size >> vec4(20u)) & vec4(1u))) >> vec4(20u);
}

// The biased exponent that the largest E4M3 stands for: that of the group's largest magnitude, or the next one if its
// significand would be that of the NaN. From 18 on, what an E4M3 denormal stands for is a normal single.
fn exponent_of(top: u32) -> u32 {
    let largest = rounded(vec4(top)).x;
    return max((largest + u32((largest & 7u) == 7u)) >> 3u, 18u);
}

// The scale, 2^(exponent − 8), as the bits of a single.
fn scale_of(exponent: u32) -> u32 {
    return (exponent - 8u) << 23u;
}

// Four codes, the first in the lowest bits.
fn codes_of(bits: vec4<u32>, exponent: u32) -> u32 {
    let size = bits & vec4(0x7fffffffu);
    let normal = rounded(size) - vec4((exponent - 15u) << 3u);
    // Below the least normal E4M3, of this exponent: multiples of an eighth of it. Whatever is at most half of one is zero.
    let least = exponent - 14u;
    let own = size >> vec4(23u);
    let significand = select((size & vec4(0x7fffffu)) | vec4(0x800000u), size, own == vec4(0u));
    let shift = min(vec4(20u + least) - min(max(own, vec4(1u)), vec4(least)), vec4(25u));
    let half = (vec4(1u) << (shift - vec4(1u))) - vec4(1u);
    let small = (significand + half + ((significand >> shift) & vec4(1u))) >> shift;
    // Where the largest single would become infinite, it becomes the E4M3 before.
    let most = select(0x7eu, 0x77u, exponent == 255u);
    let finite = select(small, min(normal, vec4(most)), own >= vec4(least));
    let code = ((bits >> vec4(24u)) & vec4(0x80u)) | select(finite, vec4(0x7fu), size >= vec4(INFINITE));
    return code.x | (code.y << 8u) | (code.z << 16u) | (code.w << 24u);
}

{% if tiles %}
var<workgroup> tops: array<u32, GROUP>;

@compute @workgroup_size(GROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = group_index(workgroup, workgroups);
    let i = group * GROUP + lane;
    let here = i < (p.elements + 3u) / 4u;
    var bits = vec4<u32>();
    if here {
        bits = load(i);
    }
    tops[lane] = larger(0u, bits);
    for (var width = GROUP / 2u; width > 0u; width >>= 1u) {
        workgroupBarrier();
        if lane < width {
            tops[lane] = max(tops[lane], tops[lane + width]);
        }
    }
    workgroupBarrier();
    let exponent = exponent_of(tops[0]);
    if here {
        words[p.groups + i] = codes_of(bits, exponent);
    }
    if here && lane == 0u {
        words[group] = scale_of(exponent);
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
    var top = 0u;
    for (var i = start; i < end; i++) {
        top = larger(top, load(i));
    }
    let exponent = exponent_of(top);
    words[group] = scale_of(exponent);
    for (var i = start; i < end; i++) {
        words[p.groups + i] = codes_of(load(i), exponent);
    }
}
{% endif %}
