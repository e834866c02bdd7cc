// sum = (Σ weight · loss, correct and counted of the first loss, 0), where a weight is in Params or a word of the control upload.
// Variables: losses (how many), scheduled (whether the control upload is bound).
// Dispatch: one workgroup of 1.
struct Params {
{% for i in range(losses) %}
    weight{{ i }}: f32,
    word{{ i }}: u32,
{% endfor %}
}

@group(0) @binding(0) var<uniform> p: Params;
{% for i in range(losses) %}
@group(0) @binding({{ i + 1 }}) var<storage, read_write> loss{{ i }}: array<vec4<f32>>;
{% endfor %}
{% if scheduled %}
@group(0) @binding({{ losses + 1 }}) var<storage, read_write> control: array<u32>;
{% endif %}
@group(0) @binding({{ losses + (2 if scheduled else 1) }}) var<storage, read_write> sum: array<vec4<f32>>;

{% include "parts/loss_weight.wgsl" %}

@compute @workgroup_size(1)
fn main() {
    var total = 0.0;
{% for i in range(losses) %}
    total += loss_weight(p.weight{{ i }}, p.word{{ i }}) * loss{{ i }}[0].x;
{% endfor %}
    sum[0] = vec4(total, loss0[0].y, loss0[0].z, 0.0);
}
