// y[n, c] = x[n, c] + b[c], or times b[c], for matrices; in place where x has no later reader.
// Variables: in_place, multiply. Dispatch: one invocation of 64 for each vector of four.
struct Params {
    count: u32,
    channels: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> b: array<f32>;
{% if not in_place %}
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
{% endif %}

{% include "parts/each.wgsl" %}

fn each(i: u32) {
    let c = (vec4(4u * i) + vec4(0u, 1u, 2u, 3u)) % p.channels;
    {{ "x" if in_place else "y" }}[i] = x[i] {{ "*" if multiply else "+" }} vec4(b[c.x], b[c.y], b[c.z], b[c.w]);
}
