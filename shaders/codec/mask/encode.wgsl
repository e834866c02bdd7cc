// Bit i % 32 of word i / 32 says whether element i is above `low` and, if the interval is bounded, below `high`.
// Variables: bounded. Dispatch: one invocation of 64 for each word.
struct Params {
    elements: u32,
    low: f32,
    high: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> mask: array<u32>;

{% include "parts/grid.wgsl" %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let word = group_index(group, groups) * 64u + lane;
    if 32u * word >= p.elements {
        return;
    }
    let vectors = (p.elements + 3u) / 4u;
    var bits = 0u;
    for (var j = 0u; j < 8u; j++) {
        let i = 8u * word + j;
        let v = x[min(i, vectors - 1u)];
        let inside = (v > vec4(p.low)){% if bounded %} & (v < vec4(p.high)){% endif %};
        let ones = select(vec4<u32>(), vec4(1u, 2u, 4u, 8u), inside);
        bits |= select(0u, (ones.x | ones.y | ones.z | ones.w) << (4u * j), i < vectors);
    }
    mask[word] = bits;
}
