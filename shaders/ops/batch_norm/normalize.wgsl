// y = (x − mean) · inv_std · γ + β, per channel; in place where x has no later reader. With running statistics the
// spread is the variance, and inv_std = 1 / √(spread + ε); else it is inv_std itself.
// Variables: in_place, vector (planes are whole vectors), running. Dispatch: one invocation of 64 for each vector of four.
{% from "parts/channel.wgsl" import channels, pick %}
struct Params {
    vectors: u32,
    channels: u32,
    size: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> gamma: array<f32>;
@group(0) @binding(3) var<storage, read_write> beta: array<f32>;
@group(0) @binding(4) var<storage, read_write> mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> spread: array<f32>;
{% if not in_place %}
@group(0) @binding(6) var<storage, read_write> y: array<vec4<f32>>;
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
        let inv_std = {% if running %}inverseSqrt({{ pick("spread", vector) }} + p.epsilon){% else %}{{ pick("spread", vector) }}{% endif %};
        let centered = x[i] - {{ pick("mean", vector) }};
        {{ "x" if in_place else "y" }}[i] = centered * (inv_std * {{ pick("gamma", vector) }}) + {{ pick("beta", vector) }};
    }
}
