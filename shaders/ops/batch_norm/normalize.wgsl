// y = (x − mean) · inv_std · γ + β, per channel; with `add` other is added to it, and with a mask the result is 0 where
// the rectifier behind was closed: sign has one bit for each element, or the rectifier's output. In place where x has no
// later reader. With running statistics the spread is the variance, and inv_std = 1 / √(spread + ε); else it is inv_std
// itself.
// Variables: in_place, running, add, mask (no, bits or values), and those of parts/map_plane.wgsl, where the dispatch is.
struct Params {
    planes: u32,
    size: u32,
    channels: u32,
{% if running %}
    epsilon: f32,
{% endif %}
}

{% include "parts/lane.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<Lane>;
@group(0) @binding(2) var<storage, read_write> gamma: array<f32>;
@group(0) @binding(3) var<storage, read_write> beta: array<f32>;
@group(0) @binding(4) var<storage, read_write> mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> spread: array<f32>;
{% set next = 6 %}
{% if add %}
@group(0) @binding({{ next }}) var<storage, read_write> other: array<Lane>;
{% set next = next + 1 %}
{% endif %}
{% if mask != "no" %}
@group(0) @binding({{ next }}) var<storage, read_write> sign: array<{{ "u32" if mask == "bits" else "Lane" }}>;
{% set next = next + 1 %}
{% endif %}
{% if not in_place %}
@group(0) @binding({{ next }}) var<storage, read_write> y: array<Lane>;
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
    var value = (x[index] - c.mean) * c.scale + c.shift;
{% if add %}
    value = value + other[index];
{% endif %}
{% if mask == "bits" and vector %}
    let bits = sign[index / 8u] >> (4u * (index % 8u));
    value = select(Lane(), value, (vec4(bits) & vec4(1u, 2u, 4u, 8u)) != vec4<u32>());
{% elif mask == "bits" %}
    value = select(0.0, value, ((sign[index / 32u] >> (index % 32u)) & 1u) != 0u);
{% elif mask == "values" %}
    value = select(Lane(), value, sign[index] > Lane());
{% endif %}
    {{ "x" if in_place else "y" }}[index] = value;
}

{% include "parts/map_plane.wgsl" %}
