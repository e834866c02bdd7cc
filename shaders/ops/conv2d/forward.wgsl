// y[n,k,oy,ox] = Σ over c, r, s of w[k,c,r,s] · x[n, c, oy·stride + r·dilation − pad, ox·stride + s·dilation − pad]
// over the channels of k's group, as C = A·B: rows k, columns (n,oy,ox), depth (c,r,s).
// Variables: core, tile_rows, dilated, grouped. Dispatch: see parts/gemm_<core>.wgsl.
{% set down, across = (" * p.dilation_y", " * p.dilation_x") if dilated is defined else ("", "") %}
{% set first_row = "member * p.rows + " if grouped is defined else "" %}
{% set first_channel = "member * p.group_channels + " if grouped is defined else "" %}
{% include "ops/conv2d/params.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

{% include "parts/grid.wgsl" %}

fn left(row: u32, k: u32) -> f32 {
    return w[({{ first_row }}row) * p.depth + k];
}

fn right(k: u32, column: u32) -> f32 {
    let taps = p.kernel_height * p.kernel_width;
    let c = {{ first_channel }}k / taps;
    let r = (k % taps) / p.kernel_width{{ down }};
    let s = k % p.kernel_width{{ across }};
    let pixels = p.out_height * p.out_width;
    let n = column / pixels;
    let oy = (column % pixels) / p.out_width;
    let ox = column % p.out_width;
    // Above or left of the input these wrap to huge numbers.
    let iy = oy * p.stride_y + r - p.pad_y;
    let ix = ox * p.stride_x + s - p.pad_x;
    let inside = (iy < p.height) & (ix < p.width);
    return select(0.0, x[select(0u, ((n * p.channels + c) * p.height + iy) * p.width + ix, inside)], inside);
}

fn put(part: u32, row: u32, column: u32, sum: f32) {
    let pixels = p.out_height * p.out_width;
    y[((column / pixels) * p.filters + {{ first_row }}row) * pixels + column % pixels] = sum;
}

{% include "parts/gemm_" ~ core ~ ".wgsl" %}
