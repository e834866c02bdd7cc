// seed of one loss = weight · seed of the sum, where the weight is in Params or a word of the control upload.
// Variables: seeded (whether the sum has a seed; else that is 1), scheduled (whether the control upload is bound).
// Dispatch: one workgroup of 1.
struct Params {
    weight: f32,
    word: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
{% if seeded %}
@group(0) @binding(1) var<storage, read_write> seed: array<f32>;
{% endif %}
{% if scheduled %}
@group(0) @binding({{ 2 if seeded else 1 }}) var<storage, read_write> control: array<u32>;
{% endif %}
@group(0) @binding({{ 1 + (1 if seeded else 0) + (1 if scheduled else 0) }}) var<storage, read_write> weighted: array<f32>;

{% include "parts/loss_weight.wgsl" %}

@compute @workgroup_size(1)
fn main() {
    weighted[0] = loss_weight(p.weight, p.word){{ " * seed[0]" if seeded else "" }};
}
