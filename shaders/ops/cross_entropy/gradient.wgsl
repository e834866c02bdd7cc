// d[n, k] = mask[n] / counted · (softmax(logits[n])[k] − t[k]), with t[k] = [k = label[n]]; smoothed
// t[k] = (1 − smoothing)·[k = label[n]] + smoothing / classes.
// Against shares q of the classes: mask[n] / counted · (softmax(logits[n])[k] · Σ t − t[k]), with
// t[k] = (1 − smoothing)·q[k] + smoothing / classes.
// Variables: smoothed, shares, step, seeded (all of it times seed[0], the output gradient). Dispatch: one invocation of 8 for each sample.
{% from "parts/softmax.wgsl" import each_class, softmax %}
struct Params {
    samples: u32,
    classes: u32,
    smoothing: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> {{ "shares: array<f32>" if shares else "labels: array<u32>" }};
@group(0) @binding(3) var<storage, read_write> mask: array<f32>;
@group(0) @binding(4) var<storage, read_write> loss: array<vec4<f32>>;
{% if seeded %}
@group(0) @binding(5) var<storage, read_write> seed: array<f32>;
{% endif %}
@group(0) @binding({{ 6 if seeded else 5 }}) var<storage, read_write> d: array<f32>;

{% include "parts/grid.wgsl" %}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let n = group_index(group, groups) * 8u + lane;
    if n >= p.samples {
        return;
    }
    let row = n * p.classes;
{{ softmax(step) }}
    let weight = select(0.0, {{ "seed[0]" if seeded else "1.0" }}, mask[n] != 0.0) / max(loss[0].z, 1.0);
{% if shares %}
    var goals = 0.0;
{% call each_class(step, "goals") %}
            part += {{ "(1.0 - p.smoothing) * shares[row + k] + p.smoothing / f32(p.classes)" if smoothed else "shares[row + k]" }};
{% endcall %}
{% endif %}
{% call each_class(step) %}
            let softmax = exp(logits[row + k] - largest) / sum;
{% if shares %}
            let goal = {{ "(1.0 - p.smoothing) * shares[row + k] + p.smoothing / f32(p.classes)" if smoothed else "shares[row + k]" }};
            d[row + k] = weight * (softmax * goals - goal);
{% elif smoothed %}
            let goal = select(0.0, 1.0 - p.smoothing, k == labels[n]) + p.smoothing / f32(p.classes);
            d[row + k] = weight * (softmax - goal);
{% else %}
            d[row + k] = weight * (softmax - select(0.0, 1.0, k == labels[n]));
{% endif %}
{% endcall %}
}
