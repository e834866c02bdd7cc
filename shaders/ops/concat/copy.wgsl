// to[n·to_step + to_first + i] = from[n·from_step + from_first + i] for each sample n and all i below run; in lanes.
// Variables: vector (everything is whole vectors of four).
// Dispatch: one workgroup of 64 for each 256 lanes of each run, so that indices are divided once for four copies.
struct Params {
    samples: u32,
    chunks: u32,
    run: u32,
    from_step: u32,
    from_first: u32,
    to_step: u32,
    to_first: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> source: array<{{ "vec4<f32>" if vector else "f32" }}>;
@group(0) @binding(2) var<storage, read_write> copied: array<{{ "vec4<f32>" if vector else "f32" }}>;

{% include "parts/grid.wgsl" %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = group_index(group, groups);
    let sample = index / p.chunks;
    if sample >= p.samples {
        return;
    }
    let start = (index % p.chunks) * 256u + lane;
    let read = sample * p.from_step + p.from_first;
    let write = sample * p.to_step + p.to_first;
    for (var i = start; i < min(start + 256u - lane, p.run); i += 64u) {
        copied[write + i] = source[read + i];
    }
}
