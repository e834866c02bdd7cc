// dx[n, c, i] = scale · dy[n, c].
// Variables: in_place (never). Dispatch: one invocation of 64 for each vector of four.
struct Params {
    count: u32,
    elements: u32,
    size: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;

{% include "parts/each.wgsl" %}

fn each(i: u32) {
    let last = vec4(p.elements - 1u);
    let plane = min(vec4(4u * i) + vec4(0u, 1u, 2u, 3u), last) / p.size;
    dx[i] = p.scale * vec4(dy[plane.x], dy[plane.y], dy[plane.z], dy[plane.w]);
}
