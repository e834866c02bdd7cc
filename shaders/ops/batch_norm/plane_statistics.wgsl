// Mean and sum of squared deviations of each plane, from sums of x − x₀ and (x − x₀)², where x₀ is the plane's first
// element: the shift keeps the difference of the two sums exact where the mean is large.
// Variables and dispatch: see parts/sum_plane.wgsl.
struct Params {
    planes: u32,
    size: u32,
}

{% include "parts/packet.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<Packet>;
@group(0) @binding(2) var<storage, read_write> partial: array<vec2<f32>>;

{% include "parts/grid.wgsl" %}

var<private> origin: f32;

fn begin(plane: u32) {
    origin = first(x[plane * p.size]);
}

fn term(index: u32) -> Terms {
    let shifted = x[index] - origin;
    return Terms(shifted, shifted * shifted);
}

fn finish(plane: u32, a: f32, b: f32) {
    let count = f32(p.size) * {{ "4.0" if vector else "1.0" }};
    partial[plane] = vec2(origin + a / count, max(b - a * a / count, 0.0));
}

{% include "parts/sum_plane.wgsl" %}
