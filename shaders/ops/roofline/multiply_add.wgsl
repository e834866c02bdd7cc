// y = Σ over chains of a ← a · factor + term, many times over, to measure what arithmetic costs where nothing is loaded.
// Variables: chains, unrolled. Dispatch: one invocation of 64 for each element.
struct Params {
    count: u32,
    turns: u32,
    factor: f32,
    term: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

{% include "parts/each.wgsl" %}

fn each(i: u32) {
    let factor = p.factor;
    let term = p.term;
    let start = f32(i & 255u);
{% for chain in range(chains) %}
    var a{{ chain }} = start + {{ chain }}.0;
{% endfor %}
    for (var turn = 0u; turn < p.turns; turn++) {
{% for step in range(unrolled) %}
{% for chain in range(chains) %}
        a{{ chain }} = fma(a{{ chain }}, factor, term);
{% endfor %}
{% endfor %}
    }
    y[i] = {% for chain in range(chains) %}a{{ chain }}{% if not loop.last %} + {% endif %}{% endfor %};
}
