// y = x: what moving bytes costs.
// Dispatch: one invocation of 64 for each two vectors of four.
struct Params {
    vectors: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

{% include "parts/grid.wgsl" %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = 2u * (group_index(group, groups) * 64u + lane);
    if i + 1u < p.vectors {
        let first = x[i];
        let second = x[i + 1u];
        y[i] = first;
        y[i + 1u] = second;
    } else if i < p.vectors {
        y[i] = x[i];
    }
}
