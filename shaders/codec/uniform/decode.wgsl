// x̂ = m + q·s, see crates/tensor/src/codec/uniform.rs.
// Variables: bits, group, run.
// Dispatch: one invocation of 64 for each {{ run }} vectors of four elements.
{% include "codec/uniform/params.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;
@group(0) @binding(2) var<storage, read_write> x: array<Packet>;

{% include "parts/grid.wgsl" %}

{% include "parts/bf16.wgsl" %}

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
    let range = words[start / GROUP];
    let m = bf16_value(range);
    let s = bf16_value(range >> 16u);
    var codes = 0u;
    for (var i = start; i < min(start + {{ run }}u, vectors); i++) {
        if i == start || i % WORD == 0u {
            codes = words[p.groups + i / WORD];
        }
        x[i] = m + unpacked(codes >> (STEP_BITS * (i % WORD))) * s;
    }
}
