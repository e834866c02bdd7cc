// y[n,c,oy,ox] = what (oy, ox) reads of plane (n, c) of x: the nearest element, or the mean of four weighted by nearness.
// Variables: bilinear. Dispatch: one invocation of 64 for each element of y.
{% include "ops/upsample/params.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

{% include "parts/each.wgsl" %}

fn each(index: u32) {
    let row = index / p.out_width;
    let plane = (row / p.out_height) * p.height;
    let down = read(row % p.out_height, p.height, p.out_height);
    let across = read(index % p.out_width, p.width, p.out_width);
    let upper = (plane + down.first) * p.width;
{% if bilinear %}
    let lower = (plane + down.second) * p.width;
    let top = mix(x[upper + across.first], x[upper + across.second], across.share);
    let bottom = mix(x[lower + across.first], x[lower + across.second], across.share);
    y[index] = mix(top, bottom, down.share);
{% else %}
    y[index] = x[upper + across.first];
{% endif %}
}
