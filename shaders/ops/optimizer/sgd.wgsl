// g ← g + decay·w;  m ← momentum·m + g;  w ← w − rate·(nesterov ? g + momentum·m : m). Does nothing once the status stops the step.
// Variables: momentum (else w ← w − rate·g), nesterov, summed, scaled (g ← factor·g before all else).
// Dispatch: one invocation of 64 for each vector of four.
{% include "parts/step.wgsl" %}

struct Params {
    count: u32,
    momentum: f32,
    decay: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> w: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> gradient: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> control: array<u32>;
@group(0) @binding(4) var<storage, read_write> status: array<u32>;
{% if momentum %}
@group(0) @binding(5) var<storage, read_write> m: array<vec4<f32>>;
{% endif %}
{% if scaled %}
@group(0) @binding({{ 6 if momentum else 5 }}) var<storage, read_write> factor: array<f32>;
{% endif %}

{% include "parts/each.wgsl" %}

{% include "parts/update.wgsl" %}

fn each(i: u32) {
    if update_skipped() {
        return;
    }
    let rate = bitcast<f32>(control[{{ learning_rate }}]);
    let g = {{ "factor[0] * gradient[i]" if scaled else "gradient[i]" }} + p.decay * w[i];
{% if momentum %}
    let direction = p.momentum * m[i] + g;
    m[i] = direction;
    w[i] -= rate * {{ "(g + p.momentum * direction)" if nesterov else "direction" }};
{% else %}
    w[i] -= rate * g;
{% endif %}
}
