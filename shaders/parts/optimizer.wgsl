{# What the kernels of all optimisers do around their rules: they read a parameter, its gradient and its state, and write parameter and
   state. The kernel includes parts/step.wgsl, has p.count and p.decay, and defines
     fn next(state: State, g: vec4<f32>) -> State, and
     fn moved(w: vec4<f32>, g: vec4<f32>, state: State, rate: f32) -> vec4<f32>, of the next state.
   State is in f32, or coded: codes of each moment, and for each block a scale of each moment.
   Variables: states (how many moments there are, at most 2), square (which of them is a mean of squares; 2 for none), coded, block,
   tiles, decoupled, summed, scaled (g ← factor·g before all else). -#}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> w: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> gradient: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> control: array<u32>;
@group(0) @binding(4) var<storage, read_write> status: array<u32>;
{% for i in range(states) %}
@group(0) @binding({{ 5 + i }}) var<storage, read_write> state{{ i }}: array<{{ "u32" if coded else "vec4<f32>" }}>;
{% endfor %}
{% if coded %}
@group(0) @binding({{ 5 + states }}) var<storage, read_write> scales: array<f32>;
{% endif %}
{% if scaled %}
@group(0) @binding({{ 5 + states + (1 if coded else 0) }}) var<storage, read_write> factor: array<f32>;
{% endif %}

struct State {
    first: vec4<f32>,
    second: vec4<f32>,
}

{% include "parts/update.wgsl" %}

// With the pull towards zero, unless that acts by itself.
fn gradient_of(i: u32, w: vec4<f32>) -> vec4<f32> {
    return {{ "factor[0] * gradient[i]" if scaled else "gradient[i]" }}{{ "" if decoupled else " + p.decay * w" }};
}

{% if coded %}
{% include "parts/coded_update.wgsl" %}
{% else %}
{% include "parts/each.wgsl" %}

fn each(i: u32) {
    if update_skipped() {
        return;
    }
    let before = w[i];
    let g = gradient_of(i, before);
    let state = next(State({{ "state0[i]" if states > 0 else "vec4<f32>()" }}, {{ "state1[i]" if states > 1 else "vec4<f32>()" }}), g);
{% if states > 0 %}
    state0[i] = state.first;
{% endif %}
{% if states > 1 %}
    state1[i] = state.second;
{% endif %}
    w[i] = moved(before, g, state, bitcast<f32>(control[{{ learning_rate }}]));
}
{% endif %}
