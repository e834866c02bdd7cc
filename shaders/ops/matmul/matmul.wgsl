// C = op(A)·op(B); op transposes or not. A is M×K (or K×M), B is K×N (or N×K), C is M×N, all row by row.
// Variables: transpose_a, transpose_b, core and its own, those of parts/epilogue.wgsl. Dispatch: see parts/gemm_<core>.wgsl.
struct Params {
    rows: u32,
    columns: u32,
    depth: u32,
    chunk: u32,
{% if kind is defined %}
    low: f32,
    high: f32,
{% endif %}
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> a: array<f32>;
@group(0) @binding(2) var<storage, read_write> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

{% include "parts/grid.wgsl" %}

{% set left_along_depth = not transpose_a %}
{% set right_along_depth = transpose_b %}
alias Place = u32;

fn left_row(row: u32) -> u32 {
    return row{{ "" if transpose_a else " * p.depth" }};
}

fn left_depth(k: u32) -> u32 {
    return k{{ " * p.rows" if transpose_a else "" }};
}

fn left(at: u32) -> f32 {
    return a[at];
}

fn right_depth(k: u32) -> Place {
    return k{{ "" if transpose_b else " * p.columns" }};
}

fn right_column(column: u32) -> Place {
    return column{{ " * p.depth" if transpose_b else "" }};
}

fn right(depth: Place, column: Place) -> f32 {
    return b[depth + column];
}

fn out_row(part: u32, row: u32) -> u32 {
    return row * p.columns;
}

fn out_column(column: u32) -> u32 {
    return column;
}

{% set vector, last = false, 3 %}
{% include "parts/epilogue.wgsl" %}
fn put(at: u32, sum: f32{{ ", row: u32, column: u32" if kind is defined }}) {
    c[at] = {{ "epilogue(sum, shift_of(column))" if kind is defined else "sum" }};
}

{% include "parts/gemm_" ~ core ~ ".wgsl" %}
