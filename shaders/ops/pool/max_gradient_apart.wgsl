// dx[n,c,iy,ix] = dy of the window over (iy, ix) if its maximum was there, else 0, for windows side by side (stride ≥
// window, no padding): each element lies in one window at most, so a band of rows is written in order, without dividing
// indices.
// Variables: places, per_word, bits. Dispatch: one invocation of 8 for each band of stride_y rows of each plane.
struct Params {
    bands: u32,
    bands_per_plane: u32,
{% include "ops/pool/params.wgsl" %}
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> index: array<u32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

{% include "parts/grid.wgsl" %}

{% include "parts/window_index.wgsl" %}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let band = group_index(group, groups) * 8u + lane;
    if band >= p.bands {
        return;
    }
    let plane = band / p.bands_per_plane;
    let oy = band % p.bands_per_plane;
    let y0 = oy * p.stride_y;
    let y1 = min(y0 + p.stride_y, p.height);
    let top = (plane * p.height + y0) * p.width;
    var x0 = 0u;
    if oy < p.out_height {
        let row = (plane * p.out_height + oy) * p.out_width;
        for (var ox = 0u; ox < p.out_width; ox++) {
            let gradient = dy[row + ox];
            let place = place_in(index[(row + ox) / PER_WORD], (row + ox) % PER_WORD);
            let x1 = min(x0 + p.stride_x, p.width);
            for (var y = 0u; y < y1 - y0; y++) {
                for (var x = x0; x < x1; x++) {
                    // Beyond the window, where the stride is larger, the place would be that of a later row.
                    let inside = (x - x0 < p.kernel_width) & (y < p.kernel_height);
                    let here = inside & (place == y * p.kernel_width + x - x0);
                    dx[top + y * p.width + x] = select(0.0, gradient, here);
                }
            }
            x0 = x1;
        }
    }
    // What no window reaches.
    for (var y = 0u; y < y1 - y0; y++) {
        for (var x = x0; x < p.width; x++) {
            dx[top + y * p.width + x] = 0.0;
        }
    }
}
