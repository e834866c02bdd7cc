// dw[k,c,r,s] = Σ over n, oy, ox of dy[n,k,oy,ox] · x[n, c, oy·stride + r·dilation − pad, ox·stride + s·dilation − pad]
// as C = A·B: rows k, columns (c,r,s), depth (n,oy,ox). The depth may be cut into parts; then partial products go to
// dw[part, …] and ops/conv2d/sum_parts.wgsl adds them. If `adds` is set, C is added to what dw holds.
// Variables: core and its own, pointwise, dilated, grouped, adds. Dispatch: see parts/gemm_<core>.wgsl.
{% set down, across = (" * p.dilation_y", " * p.dilation_x") if dilated is defined else ("", "") %}
{% set first_row = "member * p.rows + " if grouped is defined else "" %}
{% set first_channel = "member * p.group_channels + " if grouped is defined else "" %}
{% include "ops/conv2d/params.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;

{% include "parts/grid.wgsl" %}

{% set left_along_depth = true %}
{% set right_along_depth = true %}
fn pixels() -> u32 {
    return p.out_height * p.out_width;
}

fn left_row(row: u32) -> u32 {
    return ({{ first_row }}row) * pixels();
}

fn left_depth(k: u32) -> u32 {
    let n = k / pixels();
    return n * p.filters * pixels() + k - n * pixels();
}

fn left(at: u32) -> f32 {
    return dy[at];
}

fn right_depth(k: u32) -> Place {
    let n = k / pixels();
    let pixel = k - n * pixels();
{% if pointwise is defined %}
    return n * p.channels * pixels() + pixel;
{% else %}
    let oy = pixel / p.out_width;
    let ox = pixel - oy * p.out_width;
    return Place(n * p.channels * p.height * p.width, oy * p.stride_y - p.pad_y, ox * p.stride_x - p.pad_x);
{% endif %}
}

fn right_column(column: u32) -> Place {
{% if pointwise is defined %}
    return ({{ first_channel }}column) * pixels();
{% else %}
    let taps = p.kernel_height * p.kernel_width;
    let c = column / taps;
    let tap = column - c * taps;
    let r = tap / p.kernel_width;
    let s = tap - r * p.kernel_width;
    return Place(({{ first_channel }}c) * p.height * p.width, r{{ down }}, s{{ across }});
{% endif %}
}

fn right(depth: Place, column: Place) -> f32 {
{% if pointwise is defined %}
    return x[depth + column];
{% else %}
    let iy = depth.y + column.y;
    let ix = depth.x + column.x;
    let inside = (iy < p.height) & (ix < p.width);
    return select(0.0, x[select(0u, depth.plane + column.plane + iy * p.width + ix, inside)], inside);
{% endif %}
}

fn out_row(part: u32, row: u32) -> u32 {
    return (part * p.filters + {{ first_row }}row) * p.columns;
}

fn out_column(column: u32) -> u32 {
    return column;
}

fn put(at: u32, sum: f32) {
    dw[at] = {{ "dw[at] + " if adds is defined }}sum;
}

{% include "parts/gemm_" ~ core ~ ".wgsl" %}
