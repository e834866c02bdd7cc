// y = x where x ≥ 0 or x is a NaN, else 0; in place where x has no later reader.
// Variables: in_place. Dispatch: one invocation of 64 for each vector of four.
struct Params {
    vectors: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;
{% if not in_place %}
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
{% endif %}

{% include "parts/grid.wgsl" %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * 64u + lane;
    if i < p.vectors {
        let v = x[i];
        {{ "x" if in_place else "y" }}[i] = select(v, vec4<f32>(), v < vec4<f32>());
    }
}
