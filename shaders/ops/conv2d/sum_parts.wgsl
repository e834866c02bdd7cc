// sum[i] = Σ over j of partial[j, i], in order of j.
// Dispatch: one invocation of 64 for each element.
struct Params {
    parts: u32,
    elements: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> sum: array<f32>;

{% include "parts/grid.wgsl" %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * 64u + lane;
    if i >= p.elements {
        return;
    }
    var total = 0.0;
    for (var j = 0u; j < p.parts; j++) {
        total += partial[j * p.elements + i];
    }
    sum[i] = total;
}
