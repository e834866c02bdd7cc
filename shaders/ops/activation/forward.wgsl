// y = f(x), element by element, in place where x has no later reader; parts/activated.wgsl has f.
// Variables: in_place, kind. Dispatch: one invocation of 64 for each vector of four.
struct Params {
    count: u32,
    low: f32,
    high: f32,
}

{% set vector = true %}
{% include "parts/packet.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<Packet>;
{% if not in_place %}
@group(0) @binding(2) var<storage, read_write> y: array<Packet>;
{% endif %}

{% include "parts/each.wgsl" %}

{% include "parts/activated.wgsl" %}

fn each(i: u32) {
    {{ "x" if in_place else "y" }}[i] = activated(x[i]);
}
