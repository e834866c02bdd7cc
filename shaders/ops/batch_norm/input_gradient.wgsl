// dx = γ · inv_std · (dy − dβ / count − (x − mean) · inv_std · dγ / count), per channel; `scale` is 1 / count.
// Variables: in_place (dx over dy), vector (planes are whole vectors). Dispatch: one invocation of 64 for each vector of four.
{% from "parts/channel.wgsl" import channels, pick %}
struct Params {
    vectors: u32,
    channels: u32,
    size: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> gamma: array<f32>;
@group(0) @binding(4) var<storage, read_write> mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> inv_std: array<f32>;
@group(0) @binding(6) var<storage, read_write> d_gamma: array<f32>;
@group(0) @binding(7) var<storage, read_write> d_beta: array<f32>;
{% if not in_place %}
@group(0) @binding(8) var<storage, read_write> dx: array<vec4<f32>>;
{% endif %}

{% include "parts/grid.wgsl" %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * 64u + lane;
    if i < p.vectors {
        let c = {{ channels(vector) }};
        let spread = {{ pick("inv_std", vector) }};
        let normalized = (x[i] - {{ pick("mean", vector) }}) * spread;
        let mean_part = {{ pick("d_beta", vector) }} * p.scale;
        let spread_part = normalized * ({{ pick("d_gamma", vector) }} * p.scale);
        {{ "dy" if in_place else "dx" }}[i] = ({{ pick("gamma", vector) }} * spread) * (dy[i] - mean_part - spread_part);
    }
}
