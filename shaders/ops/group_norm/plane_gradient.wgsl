// partial[plane] = (Σ dy, Σ dy · (x − mean) · inv_std) over each plane, with the statistics of its row.
// Variables and dispatch: see parts/sum_plane.wgsl.
struct Params {
    planes: u32,
    size: u32,
    // Planes of a row.
    per_row: u32,
}

{% include "parts/packet.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> dy: array<Packet>;
@group(0) @binding(2) var<storage, read_write> x: array<Packet>;
@group(0) @binding(3) var<storage, read_write> statistics: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> partial: array<vec2<f32>>;

{% include "parts/grid.wgsl" %}

var<private> row: vec2<f32>;

fn begin(plane: u32) {
    row = statistics[plane / p.per_row];
}

fn term(index: u32) -> Terms {
    let d = dy[index];
    return Terms(d, d * (x[index] - row.x));
}

fn finish(plane: u32, a: f32, b: f32) {
    partial[plane] = vec2(a, b * row.y);
}

{% include "parts/sum_plane.wgsl" %}
