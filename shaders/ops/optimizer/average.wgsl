// a ← a + rest · (w − a), rest = 1 − decay; a ← w after the first update of w. Nothing where w stays.
// Variables: summed. Dispatch: one invocation of 64 for each vector of four.
struct Params {
    vectors: u32,
    rest: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> control: array<u32>;
@group(0) @binding(4) var<storage, read_write> status: array<u32>;

{% include "parts/grid.wgsl" %}

{% include "parts/update.wgsl" %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * 64u + lane;
    if i >= p.vectors || stays() {
        return;
    }
    a[i] = select(a[i] + p.rest * (w[i] - a[i]), w[i], updates_before() == 0u);
}
