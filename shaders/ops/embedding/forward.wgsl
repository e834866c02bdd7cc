// y[i, d] = table[indices[i], d]; NaN where the table has no such row.
// Dispatch: one invocation of 64 for each element of y.
struct Params {
    count: u32,
    rows: u32,
    columns: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> indices: array<u32>;
@group(0) @binding(2) var<storage, read_write> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

{% include "parts/each.wgsl" %}

fn each(i: u32) {
    let row = indices[i / p.columns];
    if row < p.rows {
        y[i] = table[row * p.columns + i % p.columns];
    } else {
        y[i] = bitcast<f32>(0x7fc00000u | (row & 1u));
    }
}
