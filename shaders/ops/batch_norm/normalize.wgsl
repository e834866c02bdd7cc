// y = (x − mean) · inv_std · γ + β, per channel; in place where x has no later reader. With running statistics the
// spread is the variance, and inv_std = 1 / √(spread + ε); else it is inv_std itself.
// Variables: in_place, running, and those of parts/map_plane.wgsl, where the dispatch is.
struct Params {
    planes: u32,
    size: u32,
    channels: u32,
    epsilon: f32,
}

{% include "parts/lane.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<Lane>;
@group(0) @binding(2) var<storage, read_write> gamma: array<f32>;
@group(0) @binding(3) var<storage, read_write> beta: array<f32>;
@group(0) @binding(4) var<storage, read_write> mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> spread: array<f32>;
{% if not in_place %}
@group(0) @binding(6) var<storage, read_write> y: array<Lane>;
{% endif %}

{% include "parts/grid.wgsl" %}

struct Channel {
    mean: f32,
    scale: f32,
    shift: f32,
}

fn channel_of(c: u32) -> Channel {
    let inv_std = {{ "inverseSqrt(spread[c] + p.epsilon)" if running else "spread[c]" }};
    return Channel(mean[c], inv_std * gamma[c], beta[c]);
}

fn visit(c: Channel, index: u32) {
    {{ "x" if in_place else "y" }}[index] = (x[index] - c.mean) * c.scale + c.shift;
}

{% include "parts/map_plane.wgsl" %}
