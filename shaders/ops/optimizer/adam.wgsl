// g ← g + decay·w;  m ← β₁·m + (1 − β₁)·g;  v ← β₂·v + (1 − β₂)·g²;
// w ← w − rate · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε), t from 1. Nothing once status says stop.
// Dispatch: one invocation of 64 for each vector of four.
struct Params {
    vectors: u32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    decay: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> w: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> gradient: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> control: array<u32>;
@group(0) @binding(4) var<storage, read_write> status: array<u32>;
@group(0) @binding(5) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> v: array<vec4<f32>>;

{% include "parts/grid.wgsl" %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * 64u + lane;
    if i >= p.vectors || status[0] != 0u {
        return;
    }
    let t = f32(control[0]) + 1.0;
    let rate = bitcast<f32>(control[2]);
    let g = gradient[i] + p.decay * w[i];
    let mean = p.beta1 * m[i] + (1.0 - p.beta1) * g;
    let square = p.beta2 * v[i] + (1.0 - p.beta2) * g * g;
    m[i] = mean;
    v[i] = square;
    // exp(t·log β) instead of pow: β > 0, and WGSL gives exp and log tighter bounds.
    let mean_share = 1.0 - exp(t * log(p.beta1));
    let square_share = 1.0 - exp(t * log(p.beta2));
    w[i] -= rate * (mean / mean_share) / (sqrt(square / square_share) + p.epsilon);
}
