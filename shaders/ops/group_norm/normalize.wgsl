// y = (x − mean) · inv_std · γ + β, with the statistics of the row; in place where x has no later reader. A stretch is a plane,
// whose elements share γ and β, or with `each` a row, whose elements have their own.
// Variables: in_place, each, and those of parts/map_plane.wgsl, where the dispatch is; a channel is a stretch.
struct Params {
    planes: u32,
    size: u32,
    channels: u32,
    run: u32,
    // Stretches of a row, and elements of γ; in lanes where they are read in lanes.
    per_row: u32,
    parameters: u32,
}

{% include "parts/packet.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<Packet>;
@group(0) @binding(2) var<storage, read_write> gamma: array<{{ "Packet" if each else "f32" }}>;
@group(0) @binding(3) var<storage, read_write> beta: array<{{ "Packet" if each else "f32" }}>;
@group(0) @binding(4) var<storage, read_write> statistics: array<vec2<f32>>;
{% if not in_place %}
@group(0) @binding(5) var<storage, read_write> y: array<Packet>;
{% endif %}

{% include "parts/grid.wgsl" %}

struct Channel {
    mean: f32,
    inv_std: f32,
{% if each %}
    // From an element of x to its own of γ; wraps.
    shift: u32,
{% else %}
    gamma: f32,
    beta: f32,
{% endif %}
}

fn channel_of(stretch: u32) -> Channel {
    let row = statistics[stretch / p.per_row];
{% if each %}
    let start = stretch * p.size;
    return Channel(row.x, row.y, start % p.parameters - start);
{% else %}
    let c = stretch % p.parameters;
    return Channel(row.x, row.y, gamma[c], beta[c]);
{% endif %}
}

fn visit(c: Channel, index: u32) {
    let normal = (x[index] - c.mean) * c.inv_std;
{% if each %}
    {{ "x" if in_place else "y" }}[index] = normal * gamma[index + c.shift] + beta[index + c.shift];
{% else %}
    {{ "x" if in_place else "y" }}[index] = normal * c.gamma + c.beta;
{% endif %}
}

{% include "parts/map_plane.wgsl" %}
