// As forward.wgsl, for drivers that run on CPU cores and planes that do not become narrower: a row of y is made in one walk, so
// that what of x lies left and right of an element is loaded once, and nothing is divided.
// Variables: bilinear. Dispatch: one invocation of 8 for each row of y.
{% include "ops/upsample/params.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

{% include "parts/grid.wgsl" %}

{% macro column(i) %}{% if bilinear %}mix(x[upper + {{ i }}], x[lower + {{ i }}], down.share){% else %}x[upper + {{ i }}]{% endif %}{% endmacro %}
@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group_index(group, groups) * 8u + lane;
    if row >= p.count / p.out_width {
        return;
    }
    let plane = (row / p.out_height) * p.height;
    let down = read(row % p.out_height, p.height, p.out_height);
    let upper = (plane + down.first) * p.width;
    let lower = (plane + down.second) * p.width;
    var first = 0u;
    var left = {{ column("0u") }};
    var right = {{ column("min(1u, p.width - 1u)") }};
    // Where the first element that an output reads is the next.
    let one = {{ "2u * p.out_width" if bilinear else "p.out_width" }};
    var limit = one;
    for (var ox = 0u; ox < p.out_width; ox++) {
        let position = {{ "position_of(ox, p.width, p.out_width)" if bilinear else "ox * p.width" }};
        if position >= limit {
            limit += one;
            first++;
            left = right;
            right = {{ column("min(first + 1u, p.width - 1u)") }};
        }
        y[row * p.out_width + ox] = {{ "mix(left, right, f32(position + one - limit) / f32(one))" if bilinear else "left" }};
    }
}
