// partial[n, c] = Σ over i of x[n, c, i], or of the products with another value.
// Variables: product, and those of parts/sum_plane.wgsl; dispatch: see parts/sum_plane.wgsl.
struct Params {
    planes: u32,
    size: u32,
}

{% include "parts/packet.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<Packet>;
{% if product %}
@group(0) @binding(2) var<storage, read_write> other: array<Packet>;
{% endif %}
@group(0) @binding({{ 3 if product else 2 }}) var<storage, read_write> partial: array<f32>;

{% include "parts/grid.wgsl" %}

fn begin(plane: u32) {}

fn term(index: u32) -> Terms {
    return Terms(x[index]{{ " * other[index]" if product else "" }}, Packet());
}

fn finish(plane: u32, a: f32, b: f32) {
    partial[plane] = a;
}

{% include "parts/sum_plane.wgsl" %}
