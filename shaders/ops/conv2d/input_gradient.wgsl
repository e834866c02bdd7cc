// dx[n,c,iy,ix] = Σ over k, r, s of w[k,c,r,s] · dy[n, k, (iy + pad − r·dilation) / stride, (ix + pad − s·dilation) / stride]
// over the filters of c's group, where the divisions leave no rest; as C = A·B: rows c, columns (n,iy,ix), depth (k,r,s).
// Variables: core, tile_rows, dilated, grouped. Dispatch: see parts/gemm_<core>.wgsl.
{% set down, across = (" * p.dilation_y", " * p.dilation_x") if dilated is defined else ("", "") %}
{% set first_row = "member * p.rows + " if grouped is defined else "" %}
{% set first_filter = "member * p.group_filters + " if grouped is defined else "" %}
{% include "ops/conv2d/params.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

{% include "parts/grid.wgsl" %}

fn left(row: u32, k: u32) -> f32 {
    let taps = p.kernel_height * p.kernel_width;
    return w[(({{ first_filter }}k / taps) * p.rows + row) * taps + k % taps];
}

fn right(k: u32, column: u32) -> f32 {
    let taps = p.kernel_height * p.kernel_width;
    let out_channel = {{ first_filter }}k / taps;
    let r = (k % taps) / p.kernel_width{{ down }};
    let s = k % p.kernel_width{{ across }};
    let pixels = p.height * p.width;
    let n = column / pixels;
    // Before the first output these wrap to huge numbers.
    let ty = (column % pixels) / p.width + p.pad_y - r;
    let tx = column % p.width + p.pad_x - s;
    let oy = ty / p.stride_y;
    let ox = tx / p.stride_x;
    let whole = (oy * p.stride_y == ty) & (ox * p.stride_x == tx);
    let inside = whole & (oy < p.out_height) & (ox < p.out_width);
    let at = ((n * p.filters + out_channel) * p.out_height + oy) * p.out_width + ox;
    return select(0.0, dy[select(0u, at, inside)], inside);
}

fn put(part: u32, row: u32, column: u32, sum: f32) {
    let pixels = p.height * p.width;
    dx[((column / pixels) * p.channels + {{ first_row }}row) * pixels + column % pixels] = sum;
}

{% include "parts/gemm_" ~ core ~ ".wgsl" %}
