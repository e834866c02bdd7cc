// E4M3 · scale, exactly, see crates/tensor/src/codec/float8.rs.
// Variables: group, run.
// Dispatch: one invocation of 64 for each {{ run }} vectors of four elements.
{% include "codec/float8/params.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;
@group(0) @binding(2) var<storage, read_write> x: array<vec4<f32>>;

{% include "parts/grid.wgsl" %}

// The bits of the singles that four codes stand for, without their signs; the exponent of a scale is added to each.
fn values(code: vec4<u32>, exponent: u32) -> vec4<u32> {
    let size = code & vec4(0x7fu);
    // The bias of an E4M3 is 7, that of a single 127.
    let normal = (size << vec4(20u)) + vec4((exponent + 120u - 127u) << 23u);
    // Multiples of 2^-9: a whole number with its own exponent.
    let small = bitcast<vec4<u32>>(vec4<f32>(size)) + vec4((exponent - 9u - 127u) << 23u);
    let finite = select(select(small, normal, size >= vec4(8u)), vec4<u32>(), size == vec4<u32>());
    return select(finite, vec4(0x7fc00000u), size == vec4(0x7fu));
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let start = (group_index(workgroup, workgroups) * 64u + lane) * {{ run }}u;
    let vectors = (p.elements + 3u) / 4u;
    if start >= vectors {
        return;
    }
    // A run lies in one group.
    let exponent = words[start / GROUP] >> 23u;
    for (var i = start; i < min(start + {{ run }}u, vectors); i++) {
        let code = (vec4(words[p.groups + i]) >> vec4(0u, 8u, 16u, 24u)) & vec4(0xffu);
        let sign = (code & vec4(0x80u)) << vec4(24u);
        x[i] = bitcast<vec4<f32>>(sign | values(code, exponent));
    }
}
