// dβ[c] = Σ over n of partial[n, c].x;  dγ[c] = Σ over n of partial[n, c].y, in order of n. With `gathers`, what dx needs of a
// channel: gathered[c] = (γ · inv_std, mean, dβ / count, inv_std · dγ / count); `scale` is 1 / count.
// Variables: gathers. Dispatch: one invocation of 8 for each channel.
struct Params {
    samples: u32,
    channels: u32,
{% if gathers %}
    scale: f32,
{% endif %}
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> partial: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> d_gamma: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_beta: array<f32>;
{% if gathers %}
@group(0) @binding(4) var<storage, read_write> gamma: array<f32>;
@group(0) @binding(5) var<storage, read_write> mean: array<f32>;
@group(0) @binding(6) var<storage, read_write> inv_std: array<f32>;
@group(0) @binding(7) var<storage, read_write> gathered: array<vec4<f32>>;
{% endif %}

{% include "parts/grid.wgsl" %}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let c = group_index(group, groups) * 8u + lane;
    if c >= p.channels {
        return;
    }
    var total = vec2<f32>();
    for (var n = 0u; n < p.samples; n++) {
        total += partial[n * p.channels + c];
    }
    d_beta[c] = total.x;
    d_gamma[c] = total.y;
{% if gathers %}
    let spread = inv_std[c];
    gathered[c] = vec4(gamma[c] * spread, mean[c], total.x * p.scale, spread * (total.y * p.scale));
{% endif %}
}
