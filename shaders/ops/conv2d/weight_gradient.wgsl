// dw[k,c,r,s] = Σ over n, oy, ox of dy[n,k,oy,ox] · x[n, c, oy·stride + r·dilation − pad, ox·stride + s·dilation − pad]
// as C = A·B: rows k, columns (c,r,s), depth (n,oy,ox). The depth may be cut into parts; then partial products go to
// dw[part, …] and ops/conv2d/sum_parts.wgsl adds them.
// Variables: core, tile_rows, dilated, grouped. Dispatch: see parts/gemm_<core>.wgsl.
{% set down, across = (" * p.dilation_y", " * p.dilation_x") if dilated is defined else ("", "") %}
{% set first_row = "member * p.rows + " if grouped is defined else "" %}
{% set first_channel = "member * p.group_channels + " if grouped is defined else "" %}
{% include "ops/conv2d/params.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;

{% include "parts/grid.wgsl" %}

fn left(row: u32, k: u32) -> f32 {
    let pixels = p.out_height * p.out_width;
    return dy[((k / pixels) * p.filters + {{ first_row }}row) * pixels + k % pixels];
}

fn right(k: u32, column: u32) -> f32 {
    let pixels = p.out_height * p.out_width;
    let n = k / pixels;
    let oy = (k % pixels) / p.out_width;
    let ox = k % p.out_width;
    let taps = p.kernel_height * p.kernel_width;
    let c = {{ first_channel }}column / taps;
    // Above or left of the input these wrap to huge numbers.
    let iy = oy * p.stride_y + (column % taps) / p.kernel_width{{ down }} - p.pad_y;
    let ix = ox * p.stride_x + column % p.kernel_width{{ across }} - p.pad_x;
    let inside = (iy < p.height) & (ix < p.width);
    return select(0.0, x[select(0u, ((n * p.channels + c) * p.height + iy) * p.width + ix, inside)], inside);
}

fn put(part: u32, row: u32, column: u32, sum: f32) {
    dw[(part * p.filters + {{ first_row }}row) * p.columns + column] = sum;
}

{% include "parts/gemm_" ~ core ~ ".wgsl" %}
