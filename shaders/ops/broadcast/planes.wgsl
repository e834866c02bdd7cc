// y[n, c, i] = x[n, c, i] + b[c], or times b[c]; in place where x has no later reader.
// Variables: in_place, multiply, and those of parts/map_plane.wgsl, where the dispatch is.
struct Params {
    planes: u32,
    size: u32,
    channels: u32,
    run: u32,
}

{% include "parts/packet.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<Packet>;
@group(0) @binding(2) var<storage, read_write> b: array<f32>;
{% if not in_place %}
@group(0) @binding(3) var<storage, read_write> y: array<Packet>;
{% endif %}

{% include "parts/grid.wgsl" %}

struct Channel {
    value: f32,
}

fn channel_of(c: u32) -> Channel {
    return Channel(b[c]);
}

fn visit(c: Channel, index: u32) {
    {{ "x" if in_place else "y" }}[index] = x[index] {{ "*" if multiply else "+" }} c.value;
}

{% include "parts/map_plane.wgsl" %}
