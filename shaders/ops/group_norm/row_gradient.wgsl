// means[row] = scale · (Σ γ · dy, Σ γ · dy · (x − mean) · inv_std) over each row; `scale` is 1 / elements of a row.
// Variables and dispatch: see parts/sum_plane.wgsl; a plane is a row.
struct Params {
    planes: u32,
    size: u32,
    // Elements of γ, in lanes.
    parameters: u32,
    scale: f32,
}

{% include "parts/packet.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> dy: array<Packet>;
@group(0) @binding(2) var<storage, read_write> x: array<Packet>;
@group(0) @binding(3) var<storage, read_write> gamma: array<Packet>;
@group(0) @binding(4) var<storage, read_write> statistics: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read_write> means: array<vec2<f32>>;

{% include "parts/grid.wgsl" %}

var<private> row: vec2<f32>;
// From an element of x to its own of γ; wraps.
var<private> shift: u32;

fn begin(plane: u32) {
    row = statistics[plane];
    let start = plane * p.size;
    shift = start % p.parameters - start;
}

fn term(index: u32) -> Terms {
    let d = gamma[index + shift] * dy[index];
    return Terms(d, d * (x[index] - row.x));
}

fn finish(plane: u32, a: f32, b: f32) {
    means[plane] = p.scale * vec2(a, b * row.y);
}

{% include "parts/sum_plane.wgsl" %}
