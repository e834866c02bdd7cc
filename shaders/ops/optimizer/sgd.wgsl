// g ← g + decay·w;  m ← momentum·m + g;  w ← w − rate·(nesterov ? g + momentum·m : m). Does nothing once the status stops the step.
// Variables: states (0: w ← w − rate·g), nesterov, and those of parts/optimizer.wgsl.
// Dispatch: one invocation of 64 for each vector of four; of a coded state see parts/coded_update.wgsl.
{% include "parts/step.wgsl" %}

struct Params {
    count: u32,
{% if coded %}
    elements: u32,
    first: u32,
    stream: u32,
{% endif %}
    momentum: f32,
    decay: f32,
}

{% include "parts/optimizer.wgsl" %}

fn next(state: State, g: vec4<f32>) -> State {
    return State({{ "p.momentum * state.first + g" if states > 0 else "g" }}, vec4<f32>());
}

fn moved(w: vec4<f32>, g: vec4<f32>, state: State, rate: f32) -> vec4<f32> {
    return w - rate * {{ "(g + p.momentum * state.first)" if nesterov else "state.first" }};
}
