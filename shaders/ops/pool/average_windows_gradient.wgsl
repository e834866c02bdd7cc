// dx[n,c,iy,ix] = Σ over the windows over (iy, ix) of dy / elements of the window. It gathers, so that no two
// invocations write the same element.
// Variables: rows, adaptive and what ops/pool/average_params.wgsl wants.
// Dispatch: with rows one invocation of 8 for each row of dx, without one of 64 for each element.
{% include "ops/pool/average_params.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

{% include "parts/grid.wgsl" %}

// The gradient of an element, given its plane, the rows of windows over it, and its column.
fn gathered(plane: u32, rows: Span, ix: u32) -> f32 {
    let columns = over_x(ix);
    var sum = 0.0;
    for (var oy = rows.first; oy < rows.end; oy++) {
        let row = (plane * p.out_height + oy) * p.out_width;
{% if adaptive %}
        let down = window_y(oy);
{% endif %}
        for (var ox = columns.first; ox < columns.end; ox++) {
{% if adaptive %}
            let across = window_x(ox);
            sum += dy[row + ox] / f32((down.end - down.first) * (across.end - across.first));
{% else %}
            sum += dy[row + ox];
{% endif %}
        }
    }
{% if adaptive %}
    return sum;
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
    let windows = over_y(index % p.height);
    for (var ix = 0u; ix < p.width; ix++) {
        dx[index * p.width + ix] = gathered(index / p.height, windows, ix);
    }
{% else %}
    let row = index / p.width;
    dx[index] = gathered(row / p.height, over_y(row % p.height), index % p.width);
{% endif %}
}
