// parts[n, c] = scale[c]² · Σ δ² over each plane, in steps in which bounds are renewed.
// Variables: scaled (else scale is 1), gated, and those of parts/sum_plane.wgsl, as is the dispatch.
struct Params {
    planes: u32,
    size: u32,
    channels: u32,
    interval: u32,
}

{% include "parts/lane.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> control: array<u32>;
@group(0) @binding(2) var<storage, read_write> delta: array<Lane>;
{% if scaled %}
@group(0) @binding(3) var<storage, read_write> scale: array<f32>;
@group(0) @binding(4) var<storage, read_write> parts: array<f32>;
{% else %}
@group(0) @binding(3) var<storage, read_write> parts: array<f32>;
{% endif %}

{% include "parts/grid.wgsl" %}

{% include "parts/due.wgsl" %}

fn begin(plane: u32) {
}

fn term(index: u32) -> Terms {
    let d = delta[index];
    return Terms(d * d, Lane());
}

fn finish(plane: u32, a: f32, b: f32) {
{% if scaled %}
    let s = scale[plane % p.channels];
    parts[plane] = a * s * s;
{% else %}
    parts[plane] = a;
{% endif %}
}

fn wanted() -> bool {
    return due();
}

{% include "parts/sum_plane.wgsl" %}
