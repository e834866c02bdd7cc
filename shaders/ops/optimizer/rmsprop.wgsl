// g ← g + decay·w;  v ← α·v + (1 − α)·g²;  m ← momentum·m + g / (√v + ε);  w ← w − rate·m. Does nothing once the status stops the step.
// Params bring rest = 1 − α, which f32 cannot compute accurately from α near 1.
// Variables: momentum (else w ← w − rate·g / (√v + ε)), summed, scaled (g ← factor·g before all else).
// Dispatch: one invocation of 64 for each vector of four.
{% include "parts/step.wgsl" %}

struct Params {
    count: u32,
    alpha: f32,
    rest: f32,
    epsilon: f32,
    momentum: f32,
    decay: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> w: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> gradient: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> control: array<u32>;
@group(0) @binding(4) var<storage, read_write> status: array<u32>;
@group(0) @binding(5) var<storage, read_write> v: array<vec4<f32>>;
{% if momentum %}
@group(0) @binding(6) var<storage, read_write> m: array<vec4<f32>>;
{% endif %}
{% if scaled %}
@group(0) @binding({{ 7 if momentum else 6 }}) var<storage, read_write> factor: array<f32>;
{% endif %}

{% include "parts/each.wgsl" %}

{% include "parts/update.wgsl" %}

fn each(i: u32) {
    if update_skipped() {
        return;
    }
    let rate = bitcast<f32>(control[{{ learning_rate }}]);
    let g = {{ "factor[0] * gradient[i]" if scaled else "gradient[i]" }} + p.decay * w[i];
    let square = p.alpha * v[i] + p.rest * g * g;
    v[i] = square;
    let step = g / (sqrt(square) + p.epsilon);
{% if momentum %}
    let direction = p.momentum * m[i] + step;
    m[i] = direction;
    w[i] -= rate * direction;
{% else %}
    w[i] -= rate * step;
{% endif %}
}
