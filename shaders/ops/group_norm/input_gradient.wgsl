// dx = inv_std · (γ · dy − a − (x − mean) · inv_std · b), with the means a of γ · dy and b of γ · dy · x̂ over the row. A stretch
// is a plane, whose elements share γ, or with `each` a row, whose elements have their own.
// Variables: in_place (dx over dy), each, and those of parts/map_plane.wgsl, where the dispatch is; a channel is a stretch.
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
@group(0) @binding(1) var<storage, read_write> dy: array<Packet>;
@group(0) @binding(2) var<storage, read_write> x: array<Packet>;
@group(0) @binding(3) var<storage, read_write> gamma: array<{{ "Packet" if each else "f32" }}>;
@group(0) @binding(4) var<storage, read_write> statistics: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read_write> means: array<vec2<f32>>;
{% if not in_place %}
@group(0) @binding(6) var<storage, read_write> dx: array<Packet>;
{% endif %}

{% include "parts/grid.wgsl" %}

struct Channel {
    mean: f32,
    inv_std: f32,
    level: f32,
    slope: f32,
{% if each %}
    // From an element of x to its own of γ; wraps.
    shift: u32,
{% else %}
    gamma: f32,
{% endif %}
}

fn channel_of(stretch: u32) -> Channel {
    let row = statistics[stretch / p.per_row];
    let level = means[stretch / p.per_row];
{% if each %}
    let start = stretch * p.size;
    let own = start % p.parameters - start;
{% else %}
    let own = gamma[stretch % p.parameters];
{% endif %}
    return Channel(row.x, row.y, level.x, row.y * level.y, own);
}

fn visit(c: Channel, index: u32) {
    let factor = {{ "gamma[index + c.shift]" if each else "c.gamma" }};
    {{ "dy" if in_place else "dx" }}[index] = c.inv_std * (factor * dy[index] - c.level - (x[index] - c.mean) * c.slope);
}

{% include "parts/map_plane.wgsl" %}
