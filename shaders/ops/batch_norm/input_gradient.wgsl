// dx = γ · inv_std · (d − dβ / count − (x − mean) · inv_std · dγ / count), per channel; d = dy, or dy · f′ with an activation f behind
// the norm. What belongs to a channel was gathered by channel_gradient.wgsl.
// Variables: in_place (dx over dy), kind (of f, or none), masked, and those of parts/map_plane.wgsl, where the dispatch is.
struct Params {
    planes: u32,
    size: u32,
    channels: u32,
    run: u32,
{% if kind != "none" %}
    low: f32,
    high: f32,
{% endif %}
}

{% include "parts/packet.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> dy: array<Packet>;
@group(0) @binding(2) var<storage, read_write> x: array<Packet>;
@group(0) @binding(3) var<storage, read_write> channels: array<vec4<f32>>;
{% set next = 4 %}
{% if kind != "none" %}
@group(0) @binding(4) var<storage, read_write> kept: array<{{ "u32" if masked else "Packet" }}>;
{% set next = 5 %}
{% endif %}
{% if not in_place %}
@group(0) @binding({{ next }}) var<storage, read_write> dx: array<Packet>;
{% endif %}

{% include "parts/grid.wgsl" %}

{% if kind != "none" %}
{% include "parts/activation_backward.wgsl" %}

{% endif %}
struct Channel {
    factor: f32,
    mean: f32,
    // What is taken off d: the part of all elements alike, and that along x − mean.
    level: f32,
    slope: f32,
}

fn channel_of(c: u32) -> Channel {
    let channel = channels[c];
    return Channel(channel.x, channel.y, channel.z, channel.w);
}

fn visit(c: Channel, index: u32) {
    let d = {{ "dy[index]" if kind == "none" else "activation_backward(dy[index], index)" }};
    {{ "dy" if in_place else "dx" }}[index] = c.factor * (d - c.level - (x[index] - c.mean) * c.slope);
}

{% include "parts/map_plane.wgsl" %}
