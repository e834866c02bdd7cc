// y = x, to measure what moving bytes costs.
// Dispatch: one invocation of 64 for each two vectors of four.
struct Params {
    // Pairs of vectors; then vectors.
    count: u32,
    vectors: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

{% include "parts/each.wgsl" %}

fn each(pair: u32) {
    let i = 2u * pair;
    if i + 1u < p.vectors {
        let first = x[i];
        let second = x[i + 1u];
        y[i] = first;
        y[i + 1u] = second;
    } else {
        y[i] = x[i];
    }
}
