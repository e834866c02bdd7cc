// For each sample: −log softmax(logits)[label] = log Σ exp(l − max) + max − l[label], and whether the label's logit is
// the (first) largest. A label outside the classes gives a NaN, so that it cannot go unnoticed.
// Smoothed: log Σ exp(l − max) + max − (1 − smoothing)·l[label] − smoothing·mean l.
// Against shares q of the classes: −Σ t·log softmax(logits) with t = (1 − smoothing)·q + smoothing / classes, and whether the
// (first) largest logit is where the (first) largest share is.
// Each pass over the classes takes `step` of them at a time: some drivers end an invocation's loops after 65,535 rounds.
// Variables: smoothed, shares, step. Dispatch: one invocation of 8 for each sample.
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
    var largest = logits[row];
    var best = 0u;
    for (var first = 0u; first < p.classes; first += {{ step }}u) {
{% for j in range(step) %}
        {% if step > 1 %}if first + {{ j }}u < p.classes {% endif %}{
            let k = first + {{ j }}u;
            if logits[row + k] > largest {
                largest = logits[row + k];
                best = k;
            }
        }
{% endfor %}
    }
    var sum = 0.0;
    for (var first = 0u; first < p.classes; first += {{ step }}u) {
        var part = 0.0;
{% for j in range(step) %}
        {% if step > 1 %}if first + {{ j }}u < p.classes {% endif %}{
            let k = first + {{ j }}u;
            part += exp(logits[row + k] - largest);
        }
{% endfor %}
        sum += part;
    }
{% if shares %}
    var loss = 0.0;
    var likeliest = 0u;
    for (var first = 0u; first < p.classes; first += {{ step }}u) {
        var part = 0.0;
{% for j in range(step) %}
        {% if step > 1 %}if first + {{ j }}u < p.classes {% endif %}{
            let k = first + {{ j }}u;
            let share = shares[row + k];
            let goal = {{ "(1.0 - p.smoothing) * share + p.smoothing / f32(p.classes)" if smoothed else "share" }};
            part += goal * (log(sum) + largest - logits[row + k]);
            if share > shares[row + likeliest] {
                likeliest = k;
            }
        }
{% endfor %}
        loss += part;
    }
    each[n] = vec2(loss, select(0.0, 1.0, best == likeliest));
{% else %}
{% if smoothed %}
    var total = 0.0;
    for (var first = 0u; first < p.classes; first += {{ step }}u) {
        var part = 0.0;
{% for j in range(step) %}
        {% if step > 1 %}if first + {{ j }}u < p.classes {% endif %}{
            let k = first + {{ j }}u;
            part += logits[row + k] - largest;
        }
{% endfor %}
        total += part;
    }
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
