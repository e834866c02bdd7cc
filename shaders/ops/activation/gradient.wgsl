// dx = dy · f′, element by element, from what was saved of y = f(x); parts/activation_backward.wgsl has f′.
// Variables: in_place (dx over dy), kind, masked, recompute (y from x in the place of dx from dy).
// Dispatch: one invocation of 64 for each vector of four.
struct Params {
    count: u32,
    low: f32,
    high: f32,
}

{% set vector = true %}
{% include "parts/packet.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> dy: array<Packet>;
@group(0) @binding(2) var<storage, read_write> kept: array<{{ "u32" if masked else "Packet" }}>;
{% if not in_place %}
@group(0) @binding(3) var<storage, read_write> dx: array<Packet>;
{% endif %}

{% include "parts/each.wgsl" %}

{% include "parts/activation_backward.wgsl" %}

fn each(i: u32) {
    {{ "dy" if in_place else "dx" }}[i] = activation_backward(dy[i], i);
}
