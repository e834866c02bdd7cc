// sum[c] = Σ over n of partial[n, c], in order of n.
// Dispatch: one invocation of 8 for each channel.
struct Params {
    samples: u32,
    channels: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> sum: array<f32>;

{% include "parts/grid.wgsl" %}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let channel = group_index(group, groups) * 8u + lane;
    if channel >= p.channels {
        return;
    }
    var total = 0.0;
    for (var n = 0u; n < p.samples; n++) {
        total += partial[n * p.channels + channel];
    }
    sum[channel] = total;
}
