// parts[n, c] = scale[c]² · Σ d² over each plane, in steps that update the bounds; d = δ, or δ · f′ with an activation f
// behind, over the loss scale if it was multiplied by that.
// Variables: scaled (else scale is 1), loss_scaled, gated, kind (of f, or none), masked, and those of parts/sum_plane.wgsl, as is
// the dispatch.
{% include "parts/step.wgsl" %}

struct Params {
    planes: u32,
    size: u32,
    channels: u32,
    // Planes of the whole in front of those of a slice.
    first: u32,
    interval: u32,
{% if kind != "none" %}
    low: f32,
    high: f32,
{% endif %}
}

{% include "parts/packet.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> control: array<u32>;
@group(0) @binding(2) var<storage, read_write> delta: array<Packet>;
{% set next = 3 %}
{% if kind != "none" %}
@group(0) @binding({{ next }}) var<storage, read_write> kept: array<{{ "u32" if masked else "Packet" }}>;
{% set next = next + 1 %}
{% endif %}
{% if scaled %}
@group(0) @binding({{ next }}) var<storage, read_write> scale: array<f32>;
{% set next = next + 1 %}
{% endif %}
{% if loss_scaled %}
@group(0) @binding({{ next }}) var<storage, read_write> loss_scale: array<f32>;
{% set next = next + 1 %}
{% endif %}
@group(0) @binding({{ next }}) var<storage, read_write> parts: array<f32>;

{% include "parts/grid.wgsl" %}

{% include "parts/refresh_due.wgsl" %}

{% if kind != "none" %}
{% include "parts/activation_backward.wgsl" %}

{% endif %}
fn begin(plane: u32) {
}

fn term(index: u32) -> Terms {
    let d = {{ "delta[index]" if kind == "none" else "activation_backward(delta[index], index)" }};
    return Terms(d * d, Packet());
}

fn finish(plane: u32, a: f32, b: f32) {
{% if scaled or loss_scaled %}
    let s = {{ "scale[plane % p.channels]" if scaled else "1.0" }}{{ " / loss_scale[0]" if loss_scaled }};
    parts[p.first + plane] = a * s * s;
{% else %}
    parts[p.first + plane] = a;
{% endif %}
}

fn wanted() -> bool {
    return refresh_due();
}

{% include "parts/sum_plane.wgsl" %}
