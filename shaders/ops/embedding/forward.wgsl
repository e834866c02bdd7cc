// y[i, d] = table[indices[i], d]; a NaN where the table has no such row.
// Dispatch: one invocation of 64 for each element of y.
struct Params {
    count: u32,
    rows: u32,
    columns: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> indices: array<u32>;
@group(0) @binding(2) var<storage, read_write> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

{% include "parts/grid.wgsl" %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * 64u + lane;
    if i >= p.count {
        return;
    }
    let row = indices[i / p.columns];
    if row < p.rows {
        y[i] = table[row * p.columns + i % p.columns];
    } else {
        y[i] = bitcast<f32>(0x7fc00000u | (row & 1u));
    }
}
