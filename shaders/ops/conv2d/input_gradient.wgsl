// dx[n,c,iy,ix] = Σ over k, r, s of w[k,c,r,s] · dy[n, k, (iy + pad − r·dilation) / stride, (ix + pad − s·dilation) / stride]
// over the filters of c's group, where the divisions leave no remainder; as C = A·B: rows c, columns (n,iy,ix), depth (k,r,s).
// Variables: core and its own, pointwise, stride_y, stride_x (numbers: dividing by them costs nothing), dilated, grouped, those of
// parts/epilogue.wgsl. Dispatch: see parts/gemm_<core>.wgsl.
{% set down, across = (" * p.dilation_y", " * p.dilation_x") if dilated is defined else ("", "") %}
{% set first_row = "member * p.rows + " if grouped is defined else "" %}
{% set first_filter = "member * p.group_filters + " if grouped is defined else "" %}
{% include "ops/conv2d/params.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

{% include "parts/grid.wgsl" %}

{# Weights of one filter lie side by side along the depth, unless each has a single tap. -#}
{% set left_along_depth = pointwise is not defined %}
{% set right_along_depth = false %}
fn pixels() -> u32 {
    return p.height * p.width;
}

fn left_row(row: u32) -> u32 {
    return row{{ "" if pointwise is defined else " * p.kernel_height * p.kernel_width" }};
}

fn left_depth(k: u32) -> u32 {
{% if pointwise is defined %}
    return ({{ first_filter }}k) * p.rows;
{% else %}
    let taps = p.kernel_height * p.kernel_width;
    let f = k / taps;
    return ({{ first_filter }}f) * p.rows * taps + k - f * taps;
{% endif %}
}

fn left(at: u32) -> f32 {
    return w[at];
}

fn right_depth(k: u32) -> Place {
{% if pointwise is defined %}
    return ({{ first_filter }}k) * pixels();
{% else %}
    let taps = p.kernel_height * p.kernel_width;
    let f = k / taps;
    let tap = k - f * taps;
    let r = tap / p.kernel_width;
    let s = tap - r * p.kernel_width;
    return Place(({{ first_filter }}f) * p.out_height * p.out_width, r{{ down }}, s{{ across }});
{% endif %}
}

fn right_column(column: u32) -> Place {
    let n = column / pixels();
    let pixel = column - n * pixels();
{% if pointwise is defined %}
    return n * p.filters * pixels() + pixel;
{% else %}
    let iy = pixel / p.width;
    let ix = pixel - iy * p.width;
    return Place(n * p.filters * p.out_height * p.out_width, iy + p.pad_y, ix + p.pad_x);
{% endif %}
}

fn right(depth: Place, column: Place) -> f32 {
{% if pointwise is defined %}
    return dy[depth + column];
{% else %}
    // Before the first output these wrap to huge numbers.
    let ty = column.y - depth.y;
    let tx = column.x - depth.x;
    let oy = ty / {{ stride_y }}u;
    let ox = tx / {{ stride_x }}u;
    let whole = (oy * {{ stride_y }}u == ty) & (ox * {{ stride_x }}u == tx);
    let inside = whole & (oy < p.out_height) & (ox < p.out_width);
    return select(0.0, dy[select(0u, depth.plane + column.plane + oy * p.out_width + ox, inside)], inside);
{% endif %}
}

fn out_row(part: u32, row: u32) -> u32 {
    return ({{ first_row }}row) * pixels();
}

fn out_column(column: u32) -> u32 {
    let n = column / pixels();
    return n * p.channels * pixels() + column - n * pixels();
}

{# A transposed convolution may have a bias. -#}
{% set vector, last = false, 3 %}
{% include "parts/epilogue.wgsl" %}
fn put(at: u32, sum: f32{{ ", row: u32, column: u32" if kind is defined }}) {
    dx[at] = {{ "epilogue(sum, shift_of(" ~ first_row ~ "row))" if kind is defined else "sum" }};
}

{% include "parts/gemm_" ~ core ~ ".wgsl" %}
