// y[i] = x[Σ i_a · stride_a] for indices i of four axes.
// A vector of four along the last axis of y at a time where that axis is whole ones; it is one of x if `aligned`.
// Variables: vector, aligned. Dispatch: one invocation of 64 for each element or vector of y.
struct Params {
    count: u32,
    // Of y, the last in vectors; the extent of its first axis is never needed.
    made_1: u32,
    made_2: u32,
    made_3: u32,
    // The distance in x between neighbours along each axis of y, of vectors in vectors.
    stride_0: u32,
    stride_1: u32,
    stride_2: u32,
    stride_3: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<{{ "vec4<f32>" if aligned else "f32" }}>;
@group(0) @binding(2) var<storage, read_write> y: array<{{ "vec4<f32>" if vector else "f32" }}>;

{% include "parts/each.wgsl" %}

fn each(index: u32) {
    let outer_2 = index / p.made_3;
    let outer_1 = outer_2 / p.made_2;
    let row = (outer_1 / p.made_1) * p.stride_0 + (outer_1 % p.made_1) * p.stride_1;
    let column = row + (outer_2 % p.made_2) * p.stride_2;
{% if vector and not aligned %}
    let at = column + (index % p.made_3) * 4u * p.stride_3;
    y[index] = vec4(x[at], x[at + p.stride_3], x[at + 2u * p.stride_3], x[at + 3u * p.stride_3]);
{% else %}
    y[index] = x[column + (index % p.made_3) * p.stride_3];
{% endif %}
}
