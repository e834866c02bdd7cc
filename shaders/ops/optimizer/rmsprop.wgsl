// g ← g + decay·w;  v ← α·v + (1 − α)·g²;  m ← momentum·m + g / (√v + ε);  w ← w − rate·m. Does nothing once the status stops the step.
// Params bring rest = 1 − α, which f32 cannot compute accurately from α near 1.
// Variables: states (1: w ← w − rate·g / (√v + ε)), and those of parts/optimizer.wgsl.
// Dispatch: one invocation of 64 for each vector of four; of a coded state see parts/coded_update.wgsl.
{% include "parts/step.wgsl" %}

struct Params {
    count: u32,
{% if coded %}
    elements: u32,
    first: u32,
    stream: u32,
{% endif %}
    alpha: f32,
    rest: f32,
    epsilon: f32,
    momentum: f32,
    decay: f32,
}

{% include "parts/optimizer.wgsl" %}

fn next(state: State, g: vec4<f32>) -> State {
    let square = p.alpha * state.first + p.rest * g * g;
    let step = g / (sqrt(square) + p.epsilon);
    return State(square, {{ "p.momentum * state.second + step" if states > 1 else "step" }});
}

fn moved(w: vec4<f32>, g: vec4<f32>, state: State, rate: f32) -> vec4<f32> {
    return w - rate * state.second;
}
