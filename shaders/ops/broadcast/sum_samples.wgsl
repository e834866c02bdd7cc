// sum[c] = Σ over n of partial[n, c]; added to what is there if `adds` is set.
// Other variables and dispatch: see parts/sum_column.wgsl; rows are samples, columns channels.
struct Params {
    rows: u32,
    columns: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> total: array<f32>;

{% include "parts/grid.wgsl" %}

alias Sum = f32;

fn begin(column: u32) {}

fn term(row: u32, column: u32) -> Sum {
    return partial[row * p.columns + column];
}

fn finish(column: u32, sum: Sum) {
    total[column] = {{ "total[column] + " if adds is defined }}sum;
}

{% include "parts/sum_column.wgsl" %}
