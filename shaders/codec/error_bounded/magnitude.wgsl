// sums[i] = Σ |m| over the i-th 256 elements, m the gradient's average or, before there is one, the gradient; in
// steps in which bounds are renewed.
// Variables: averaged. Dispatch: one invocation of 8 for each sum.
struct Params {
    elements: u32,
    chunks: u32,
    interval: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> control: array<u32>;
@group(0) @binding(2) var<storage, read_write> gradient: array<f32>;
{% if averaged %}
@group(0) @binding(3) var<storage, read_write> average: array<f32>;
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;
{% else %}
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;
{% endif %}

{% include "parts/grid.wgsl" %}

{% include "parts/due.wgsl" %}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let chunk = group_index(group, groups) * 8u + lane;
    if (chunk >= p.chunks) | !due() {
        return;
    }
    var sum = 0.0;
    for (var i = 256u * chunk; i < min(256u * (chunk + 1u), p.elements); i++) {
{% if averaged %}
        sum += abs(select(average[i], gradient[i], control[0] == 0u));
{% else %}
        sum += abs(gradient[i]);
{% endif %}
    }
    sums[chunk] = sum;
}
