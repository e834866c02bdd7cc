// dx[n, c, i] = scale · dy[n, c].
// Variables: in_place (never). Dispatch: one invocation of 64 for each vector of four.
struct Params {
    vectors: u32,
    elements: u32,
    size: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;

{% include "parts/grid.wgsl" %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * 64u + lane;
    if i < p.vectors {
        let last = vec4(p.elements - 1u);
        let plane = min(vec4(4u * i) + vec4(0u, 1u, 2u, 3u), last) / p.size;
        dx[i] = p.scale * vec4(dy[plane.x], dy[plane.y], dy[plane.z], dy[plane.w]);
    }
}
