// dx = γ · inv_std · (dy − dβ / count − (x − mean) · inv_std · dγ / count), per channel; `scale` is 1 / count.
// Variables: in_place (dx over dy), and those of parts/map_plane.wgsl, where the dispatch is.
struct Params {
    planes: u32,
    size: u32,
    channels: u32,
    scale: f32,
}

{% include "parts/lane.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> dy: array<Lane>;
@group(0) @binding(2) var<storage, read_write> x: array<Lane>;
@group(0) @binding(3) var<storage, read_write> gamma: array<f32>;
@group(0) @binding(4) var<storage, read_write> mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> inv_std: array<f32>;
@group(0) @binding(6) var<storage, read_write> d_gamma: array<f32>;
@group(0) @binding(7) var<storage, read_write> d_beta: array<f32>;
{% if not in_place %}
@group(0) @binding(8) var<storage, read_write> dx: array<Lane>;
{% endif %}

{% include "parts/grid.wgsl" %}

struct Channel {
    factor: f32,
    mean: f32,
    // What is taken off dy: the part of all elements alike, and that along x − mean.
    level: f32,
    slope: f32,
}

fn channel_of(c: u32) -> Channel {
    let spread = inv_std[c];
    return Channel(gamma[c] * spread, mean[c], d_beta[c] * p.scale, spread * (d_gamma[c] * p.scale));
}

fn visit(c: Channel, index: u32) {
    {{ "dy" if in_place else "dx" }}[index] = c.factor * (dy[index] - c.level - (x[index] - c.mean) * c.slope);
}

{% include "parts/map_plane.wgsl" %}
