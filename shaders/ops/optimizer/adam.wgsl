// g ← g + decay·w;  m ← β₁·m + (1 − β₁)·g;  v ← β₂·v + (1 − β₂)·g²;
// w ← w − rate · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε), t from 1. Does nothing once the status stops the step.
// `decoupled` (AdamW): g stays, and w ← w − rate · decay · w before.
// Params bring rest = 1 − β and fading = −ln β, which f32 cannot compute accurately from β near 1.
// Variables: decoupled, summed, scaled (g ← factor·g before all else).
// Dispatch: one invocation of 64 for each vector of four.
{% include "parts/step.wgsl" %}

struct Params {
    count: u32,
    beta1: f32,
    beta2: f32,
    rest1: f32,
    rest2: f32,
    fading1: f32,
    fading2: f32,
    epsilon: f32,
    decay: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> w: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> gradient: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> control: array<u32>;
@group(0) @binding(4) var<storage, read_write> status: array<u32>;
@group(0) @binding(5) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> v: array<vec4<f32>>;
{% if scaled %}
@group(0) @binding(7) var<storage, read_write> factor: array<f32>;
{% endif %}

{% include "parts/each.wgsl" %}

{% include "parts/update.wgsl" %}

// 1 − βᵗ = 1 − exp(−a), a = t·fading; by its series where the difference would cancel.
fn share(a: f32) -> f32 {
    if a < 0.25 {
        return a * (1.0 - a / 2.0 * (1.0 - a / 3.0 * (1.0 - a / 4.0 * (1.0 - a / 5.0 * (1.0 - a / 6.0)))));
    }
    return 1.0 - exp(-a);
}

fn each(i: u32) {
    if update_skipped() {
        return;
    }
    let t = f32(updates_before()) + 1.0;
    let rate = bitcast<f32>(control[{{ learning_rate }}]);
{% if decoupled %}
    let g = {{ "factor[0] * gradient[i]" if scaled else "gradient[i]" }};
    w[i] -= rate * p.decay * w[i];
{% else %}
    let g = {{ "factor[0] * gradient[i]" if scaled else "gradient[i]" }} + p.decay * w[i];
{% endif %}
    let mean = p.beta1 * m[i] + p.rest1 * g;
    let square = p.beta2 * v[i] + p.rest2 * g * g;
    m[i] = mean;
    v[i] = square;
    w[i] -= rate * (mean / share(t * p.fading1)) / (sqrt(square / share(t * p.fading2)) + p.epsilon);
}
