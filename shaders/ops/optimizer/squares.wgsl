// sums[i] = Σ g² over the i-th `chunk` elements of a gradient.
// Dispatch: one invocation of 8 for each sum.
struct Params {
    elements: u32,
    chunks: u32,
    chunk: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

{% include "parts/grid.wgsl" %}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = group_index(group, groups) * 8u + lane;
    if index >= p.chunks {
        return;
    }
    var sum = 0.0;
    for (var i = index * p.chunk; i < min((index + 1u) * p.chunk, p.elements); i++) {
        sum += gradient[i] * gradient[i];
    }
    sums[index] = sum;
}
