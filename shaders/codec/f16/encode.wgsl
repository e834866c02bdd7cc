// f32 to f16, rounded to the nearest, ties to even; two in a word, the earlier in its low half. Only integer arithmetic is
// used, so that no driver rounds, flushes or contracts differently.
// Variables: run.
// Dispatch: one invocation of 64 for each {{ run }} vectors of four elements.
{% include "codec/f16/params.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> words: array<vec2<u32>>;

{% include "parts/grid.wgsl" %}

fn halves(bits: vec4<u32>) -> vec4<u32> {
    let size = bits & vec4(0x7fffffffu);
    let exponent = size >> vec4(23u);
    // From 2^-14 on: another bias, 13 bits less. A carry goes into the exponent, and on to infinity.
    let normal = (size - vec4(0x38000000u) + vec4(0xfffu) + ((size >> vec4(13u)) & vec4(1u))) >> vec4(13u);
    // Below: multiples of 2^-24. Whatever is at most half of one becomes zero.
    let significand = (size & vec4(0x7fffffu)) | vec4(0x800000u);
    let shift = clamp(vec4(126u) - min(exponent, vec4(126u)), vec4(1u), vec4(25u));
    let half = (vec4(1u) << (shift - vec4(1u))) - vec4(1u);
    let small = (significand + half + ((significand >> shift) & vec4(1u))) >> shift;
    let finite = select(small, min(normal, vec4(0x7c00u)), size >= vec4(0x38800000u));
    let nan = vec4(0x7e00u) | ((size >> vec4(13u)) & vec4(0x3ffu));
    return ((bits >> vec4(16u)) & vec4(0x8000u)) | select(finite, nan, size > vec4(0x7f800000u));
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let start = (group_index(group, groups) * 64u + lane) * {{ run }}u;
    for (var i = start; i < min(start + {{ run }}u, p.vectors); i++) {
        // Nothing lies beyond the last element.
        let here = vec4(4u * i) + vec4(0u, 1u, 2u, 3u) < vec4(p.elements);
        let h = select(vec4<u32>(), halves(x[i]), here);
        words[i] = h.xz | (h.yw << vec2(16u));
    }
}
