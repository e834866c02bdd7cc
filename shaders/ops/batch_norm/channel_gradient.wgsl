// dβ[c] = Σ over n of partial[n, c].x;  dγ[c] = Σ over n of partial[n, c].y. With `gathers`, what dx needs of a
// channel: gathered[c] = (γ · inv_std, mean, dβ / count, inv_std · dγ / count); `scale` is 1 / count.
// Variables: gathers, adds (if it is set, both are added to what is there), and those of parts/sum_column.wgsl, where the dispatch is; rows are samples, columns channels.
struct Params {
    rows: u32,
    columns: u32,
{% if gathers %}
    scale: f32,
{% endif %}
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> partial: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> d_gamma: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_beta: array<f32>;
{% if gathers %}
@group(0) @binding(4) var<storage, read_write> gamma: array<f32>;
@group(0) @binding(5) var<storage, read_write> mean: array<f32>;
@group(0) @binding(6) var<storage, read_write> inv_std: array<f32>;
@group(0) @binding(7) var<storage, read_write> gathered: array<vec4<f32>>;
{% endif %}

{% include "parts/grid.wgsl" %}

alias Sum = vec2<f32>;

fn begin(column: u32) {}

fn term(row: u32, column: u32) -> Sum {
    return partial[row * p.columns + column];
}

fn finish(column: u32, sum: Sum) {
    d_beta[column] = {{ "d_beta[column] + " if adds is defined }}sum.x;
    d_gamma[column] = {{ "d_gamma[column] + " if adds is defined }}sum.y;
{% if gathers %}
    let spread = inv_std[column];
    gathered[column] = vec4(gamma[column] * spread, mean[column], sum.x * p.scale, spread * (sum.y * p.scale));
{% endif %}
}

{% include "parts/sum_column.wgsl" %}
