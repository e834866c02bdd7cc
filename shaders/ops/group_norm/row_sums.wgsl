// means[row] = scale · Σ over its planes of γ · partial, in order; `scale` is 1 / elements of a row.
// Dispatch: one invocation of 8 for each row.
struct Params {
    rows: u32,
    per_row: u32,
    parameters: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> gamma: array<f32>;
@group(0) @binding(2) var<storage, read_write> partial: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> means: array<vec2<f32>>;

{% include "parts/grid.wgsl" %}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group_index(group, groups) * 8u + lane;
    if row >= p.rows {
        return;
    }
    var sum = vec2<f32>();
    for (var plane = row * p.per_row; plane < (row + 1u) * p.per_row; plane++) {
        sum += gamma[plane % p.parameters] * partial[plane];
    }
    means[row] = p.scale * sum;
}
