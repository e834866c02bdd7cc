// partial[n, c] = (Σ d, Σ d · (x − mean) · inv_std) over each plane; d = dy, or dy · f′ with an activation f behind the norm.
// Variables: kind (of f, or none), masked, and those of parts/sum_plane.wgsl, where the dispatch is.
struct Params {
    planes: u32,
    size: u32,
    channels: u32,
{% if kind != "none" %}
    low: f32,
    high: f32,
{% endif %}
}

{% include "parts/packet.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> dy: array<Packet>;
@group(0) @binding(2) var<storage, read_write> x: array<Packet>;
@group(0) @binding(3) var<storage, read_write> mean: array<f32>;
@group(0) @binding(4) var<storage, read_write> inv_std: array<f32>;
@group(0) @binding(5) var<storage, read_write> partial: array<vec2<f32>>;
{% if kind != "none" %}
@group(0) @binding(6) var<storage, read_write> kept: array<{{ "u32" if masked else "Packet" }}>;
{% endif %}

{% include "parts/grid.wgsl" %}

{% if kind != "none" %}
{% include "parts/activation_backward.wgsl" %}

{% endif %}
var<private> center: f32;

fn begin(plane: u32) {
    center = mean[plane % p.channels];
}

fn term(index: u32) -> Terms {
    let d = {{ "dy[index]" if kind == "none" else "activation_backward(dy[index], index)" }};
    return Terms(d, d * (x[index] - center));
}

fn finish(plane: u32, a: f32, b: f32) {
    partial[plane] = vec2(a, b * inv_std[plane % p.channels]);
}

{% include "parts/sum_plane.wgsl" %}
