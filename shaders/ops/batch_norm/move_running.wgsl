// The running mean and variance move by `momentum` towards the batch's mean and its unbiased variance
// (1 / inv_std² − ε) · count / (count − 1). Does nothing once the status stops the step.
// Dispatch: one invocation of 8 for each channel.
{% include "parts/step.wgsl" %}

struct Params {
    channels: u32,
    epsilon: f32,
    momentum: f32,
    unbiased: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(2) var<storage, read_write> running_var: array<f32>;
@group(0) @binding(3) var<storage, read_write> mean: array<f32>;
@group(0) @binding(4) var<storage, read_write> inv_std: array<f32>;
@group(0) @binding(5) var<storage, read_write> status: array<u32>;

{% include "parts/grid.wgsl" %}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let c = group_index(group, groups) * 8u + lane;
    if c >= p.channels || status[STATUS_STOP] != 0u {
        return;
    }
    let variance = max(1.0 / (inv_std[c] * inv_std[c]) - p.epsilon, 0.0) * p.unbiased;
    running_mean[c] += p.momentum * (mean[c] - running_mean[c]);
    running_var[c] += p.momentum * (variance - running_var[c]);
}
