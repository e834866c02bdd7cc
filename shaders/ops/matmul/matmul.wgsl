// C = op(A)·op(B); op transposes or not. A is M×K (or K×M), B is K×N (or N×K), C is M×N, all row by row.
// Variables: transpose_a, transpose_b, core, tile_rows. Dispatch: see parts/gemm_<core>.wgsl.
struct Params {
    rows: u32,
    columns: u32,
    depth: u32,
    chunk: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> a: array<f32>;
@group(0) @binding(2) var<storage, read_write> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

{% include "parts/grid.wgsl" %}

fn left(row: u32, k: u32) -> f32 {
    return a[{{ "k * p.rows + row" if transpose_a else "row * p.depth + k" }}];
}

fn right(k: u32, column: u32) -> f32 {
    return b[{{ "column * p.depth + k" if transpose_b else "k * p.columns + column" }}];
}

fn put(part: u32, row: u32, column: u32, sum: f32) {
    c[row * p.columns + column] = sum;
}

{% include "parts/gemm_" ~ core ~ ".wgsl" %}
