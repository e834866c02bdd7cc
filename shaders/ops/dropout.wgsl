// y = scale · x where u ≥ rate, else 0, with u uniform in [0, 1), number i of a stream keyed by seed and step.
// Variables: in_place. Dispatch: one invocation of 64 for each vector of four.
{% include "parts/step.wgsl" %}

struct Params {
    count: u32,
    stream: u32,
    rate: f32,
    scale: f32,
    // Elements of the whole in front of x.
    first: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> control: array<u32>;
{% if not in_place %}
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
{% endif %}

{% include "parts/each.wgsl" %}

{% include "parts/random.wgsl" %}

fn each(i: u32) {
    let u = draw4(stream_of(p.stream, control[CONTROL_SEED], control[CONTROL_STEP]), p.first + 4u * i);
    {{ "x" if in_place else "y" }}[i] = select(vec4<f32>(), p.scale * x[i], u >= vec4(p.rate));
}
