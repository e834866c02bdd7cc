// y[n,c,oy,ox] = Σ over the window of x / elements of the window, row by row; padding counts as zeros.
// Variables: rows, adaptive and what ops/pool/average_params.wgsl wants.
// Dispatch: with rows one invocation of 8 for each row of y, without one of 64 for each element.
{% include "ops/pool/average_params.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

{% include "parts/grid.wgsl" %}

// The mean of a window: its plane, its rows, and the column of the output.
fn average(plane: u32, rows: Span, ox: u32) -> f32 {
    let columns = window_x(ox);
    var sum = 0.0;
    for (var iy = rows.first; iy < rows.end; iy++) {
        let row = (plane * p.height + iy) * p.width;
        for (var ix = columns.first; ix < columns.end; ix++) {
            sum += x[row + ix];
        }
    }
{% if adaptive %}
    return sum / f32((rows.end - rows.first) * (columns.end - columns.first));
{% else %}
    return sum * (1.0 / {{ kernel_height * kernel_width }}.0);
{% endif %}
}

@compute @workgroup_size({{ 8 if rows else 64 }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = group_index(group, groups) * {{ 8 if rows else 64 }}u + lane;
    if index >= p.count {
        return;
    }
{% if rows %}
    let window = window_y(index % p.out_height);
    for (var ox = 0u; ox < p.out_width; ox++) {
        y[index * p.out_width + ox] = average(index / p.out_height, window, ox);
    }
{% else %}
    let row = index / p.out_width;
    y[index] = average(row / p.out_height, window_y(row % p.out_height), index % p.out_width);
{% endif %}
}
