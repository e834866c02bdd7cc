// y = f((x − mean) · inv_std · γ + β), per channel; with `add` other is added to what f is of. In place where x has no later
// reader. `kind` says which activation f is, or none; `recompute`: f by what was saved of its output (parts/activation_backward.wgsl). With running
// statistics the spread is the variance, and inv_std = 1 / √(spread + ε); else it is inv_std itself.
// Variables: in_place, running, add, kind, recompute, masked, and those of parts/map_plane.wgsl, where the dispatch is.
struct Params {
    planes: u32,
    size: u32,
    channels: u32,
    run: u32,
{% if running %}
    epsilon: f32,
{% endif %}
{% if kind != "none" %}
    low: f32,
    high: f32,
{% endif %}
}

{% include "parts/packet.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<Packet>;
@group(0) @binding(2) var<storage, read_write> gamma: array<f32>;
@group(0) @binding(3) var<storage, read_write> beta: array<f32>;
@group(0) @binding(4) var<storage, read_write> mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> spread: array<f32>;
{% set next = 6 %}
{% if add %}
@group(0) @binding({{ next }}) var<storage, read_write> other: array<Packet>;
{% set next = next + 1 %}
{% endif %}
{% if recompute %}
@group(0) @binding({{ next }}) var<storage, read_write> kept: array<{{ "u32" if masked else "Packet" }}>;
{% set next = next + 1 %}
{% endif %}
{% if not in_place %}
@group(0) @binding({{ next }}) var<storage, read_write> y: array<Packet>;
{% endif %}

{% include "parts/grid.wgsl" %}

{% if recompute %}
{% include "parts/activation_backward.wgsl" %}

{% elif kind != "none" %}
{% include "parts/activated.wgsl" %}

{% endif %}
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
{% if recompute %}
    value = activation_backward(value, index);
{% elif kind != "none" %}
    value = activated(value);
{% endif %}
    {{ "x" if in_place else "y" }}[index] = value;
}

{% include "parts/map_plane.wgsl" %}
