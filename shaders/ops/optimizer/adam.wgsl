// g ← g + decay·w;  m ← β₁·m + (1 − β₁)·g;  v ← β₂·v + (1 − β₂)·g²;
// w ← w − rate · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε), t from 1. Does nothing once the status stops the step.
// `decoupled` (AdamW): g stays, and w ← w − rate · decay · w before.
// Params bring rest = 1 − β and fading = −ln β, which f32 cannot compute accurately from β near 1.
// Variables: those of parts/optimizer.wgsl.
// Dispatch: one invocation of 64 for each vector of four; of a coded state see parts/coded_update.wgsl.
{% include "parts/step.wgsl" %}

struct Params {
    count: u32,
{% if coded %}
    elements: u32,
    first: u32,
    stream: u32,
{% endif %}
    beta1: f32,
    beta2: f32,
    rest1: f32,
    rest2: f32,
    fading1: f32,
    fading2: f32,
    epsilon: f32,
    decay: f32,
}

{% include "parts/optimizer.wgsl" %}

// 1 − βᵗ = 1 − exp(−a), a = t·fading; by its series where the difference would cancel.
fn share(a: f32) -> f32 {
    if a < 0.25 {
        return a * (1.0 - a / 2.0 * (1.0 - a / 3.0 * (1.0 - a / 4.0 * (1.0 - a / 5.0 * (1.0 - a / 6.0)))));
    }
    return 1.0 - exp(-a);
}

fn next(state: State, g: vec4<f32>) -> State {
    return State(p.beta1 * state.first + p.rest1 * g, p.beta2 * state.second + p.rest2 * g * g);
}

fn moved(w: vec4<f32>, g: vec4<f32>, state: State, rate: f32) -> vec4<f32> {
    let t = f32(updates_before()) + 1.0;
    let pulled = {{ "w - rate * p.decay * w" if decoupled else "w" }};
    return pulled - rate * (state.first / share(t * p.fading1)) / (sqrt(state.second / share(t * p.fading2)) + p.epsilon);
}
