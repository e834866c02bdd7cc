// For each sample: −log softmax(logits)[label] = log Σ exp(l − max) + max − l[label], and whether the label's logit is
// the (first) largest. A label outside the classes gives a NaN, so that it cannot go unnoticed.
// Smoothed: log Σ exp(l − max) + max − (1 − smoothing)·l[label] − smoothing·mean l.
// Against shares q of the classes: −Σ t·log softmax(logits) with t = (1 − smoothing)·q + smoothing / classes, and whether the
// (first) largest logit is where the (first) largest share is.
// Variables: smoothed, shares, step. Dispatch: one invocation of 8 for each sample.
{% from "parts/softmax.wgsl" import each_class, softmax %}
struct Params {
    samples: u32,
    classes: u32,
    smoothing: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> {{ "shares: array<f32>" if shares else "labels: array<u32>" }};
@group(0) @binding(3) var<storage, read_write> each: array<vec2<f32>>;

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
{{ softmax(step, true) }}
{% if shares %}
    var loss = 0.0;
    var likeliest = 0u;
{% call each_class(step, "loss") %}
            let share = shares[row + k];
            let goal = {{ "(1.0 - p.smoothing) * share + p.smoothing / f32(p.classes)" if smoothed else "share" }};
            part += goal * (log(sum) + largest - logits[row + k]);
            if share > shares[row + likeliest] {
                likeliest = k;
            }
{% endcall %}
    each[n] = vec2(loss, select(0.0, 1.0, best == likeliest));
{% else %}
{% if smoothed %}
    var total = 0.0;
{% call each_class(step, "total") %}part += logits[row + k] - largest;{% endcall %}
{% endif %}
    let label = labels[n];
    if label >= p.classes {
        each[n] = vec2(bitcast<f32>(0x7fc00000u | (label & 1u)), 0.0);
        return;
    }
{% if smoothed %}
    let goal = (1.0 - p.smoothing) * (logits[row + label] - largest) + p.smoothing * total / f32(p.classes);
    let loss = log(sum) - goal;
{% else %}
    let loss = log(sum) + largest - logits[row + label];
{% endif %}
    each[n] = vec2(loss, select(0.0, 1.0, best == label));
{% endif %}
}
