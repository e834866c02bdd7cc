// partial[part, j] = (Σ dy, Σ dy · (x − mean) · inv_std) over element j of the samples of a part, in order.
// Dispatch: one invocation of 8 for each element of γ and each part of `chunk` samples.
struct Params {
    samples: u32,
    parameters: u32,
    // Elements of a row.
    size: u32,
    parts: u32,
    chunk: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> statistics: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> partial: array<vec2<f32>>;

{% include "parts/grid.wgsl" %}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = group_index(group, groups) * 8u + lane;
    let part = index / p.parameters;
    if part >= p.parts {
        return;
    }
    let j = index % p.parameters;
    var sum = vec2<f32>();
    for (var n = part * p.chunk; n < min((part + 1u) * p.chunk, p.samples); n++) {
        let at = n * p.parameters + j;
        let row = statistics[at / p.size];
        let d = dy[at];
        sum += vec2(d, d * (x[at] - row.x) * row.y);
    }
    partial[index] = sum;
}
