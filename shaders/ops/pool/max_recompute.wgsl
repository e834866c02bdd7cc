// y[n,c,oy,ox] = x at the place in its window where the maximum was when it was pooled.
// Variables: places, per_word, bits. Dispatch: one invocation of 64 for each element of y.
struct Params {
{% include "ops/pool/params.wgsl" %}
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> index: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

{% include "parts/grid.wgsl" %}

{% include "parts/window_index.wgsl" %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let output = group_index(group, groups) * 64u + lane;
    if output >= p.outputs {
        return;
    }
    let ox = output % p.out_width;
    let oy = (output / p.out_width) % p.out_height;
    let plane = output / (p.out_width * p.out_height);
    let place = place_in(index[output / PER_WORD], output % PER_WORD);
    // A maximum is never in the padding.
    let iy = oy * p.stride_y + place / p.kernel_width - p.pad_y;
    let ix = ox * p.stride_x + place % p.kernel_width - p.pad_x;
    y[output] = x[(plane * p.height + iy) * p.width + ix];
}
