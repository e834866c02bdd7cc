// f16 to f32, exactly; see encode.wgsl.
// Variables: run.
// Dispatch: one invocation of 64 for each {{ run }} vectors of four elements.
{% include "codec/f16/params.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> words: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read_write> x: array<vec4<u32>>;

{% include "parts/grid.wgsl" %}

fn singles(half: vec4<u32>) -> vec4<u32> {
    let size = half & vec4(0x7fffu);
    let normal = (size << vec4(13u)) + vec4(0x38000000u);
    // Multiples of 2^-24: a whole number, then its exponent less 24.
    let small = bitcast<vec4<u32>>(vec4<f32>(size)) - vec4(24u << 23u);
    let special = (size << vec4(13u)) | vec4(0x7f800000u);
    let finite = select(select(small, normal, size >= vec4(0x400u)), vec4<u32>(), size == vec4<u32>());
    return ((half & vec4(0x8000u)) << vec4(16u)) | select(finite, special, size >= vec4(0x7c00u));
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let start = (group_index(group, groups) * 64u + lane) * {{ run }}u;
    for (var i = start; i < min(start + {{ run }}u, p.vectors); i++) {
        let pair = words[i];
        x[i] = singles(vec4(pair.x & 0xffffu, pair.x >> 16u, pair.y & 0xffffu, pair.y >> 16u));
    }
}
