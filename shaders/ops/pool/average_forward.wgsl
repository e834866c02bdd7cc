// y[n, c] = scale · Σ over i of x[n, c, i], with scale = 1 / elements of a plane.
// Variables and dispatch: see parts/sum_plane.wgsl.
struct Params {
    planes: u32,
    size: u32,
    scale: f32,
}

{% include "parts/packet.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<Packet>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

{% include "parts/grid.wgsl" %}

fn begin(plane: u32) {}

fn term(index: u32) -> Terms {
    return Terms(x[index], Packet());
}

fn finish(plane: u32, a: f32, b: f32) {
    y[plane] = a * p.scale;
}

{% include "parts/sum_plane.wgsl" %}
