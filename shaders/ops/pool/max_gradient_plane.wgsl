// dx[n,c,iy,ix] = Σ of dy over the windows whose maximum was there, plane by plane: zeros first, then each window adds to the
// place of its maximum. One invocation serves a whole plane: the order of additions is that of the windows, no window has to be
// searched for and no index divided.
// Variables: places, per_word, bits, kernel_width, overlapping (windows), vector (planes are whole vectors). Dispatch: one
// invocation of 8 for each plane.
struct Params {
    planes: u32,
{% include "ops/pool/params.wgsl" %}
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> index: array<u32>;
@group(0) @binding(3) var<storage, read_write> dx: array<{{ "vec4<f32>" if vector else "f32" }}>;

{% include "parts/grid.wgsl" %}

{% include "parts/window_index.wgsl" %}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let plane = group_index(group, groups) * 8u + lane;
    if plane >= p.planes {
        return;
    }
    let size = p.height * p.width;
    let top = plane * size;
{% if vector %}
    for (var i = top / 4u; i < (top + size) / 4u; i++) {
        dx[i] = vec4<f32>();
    }
{% else %}
    for (var i = top; i < top + size; i++) {
        dx[i] = 0.0;
    }
{% endif %}
    var output = plane * p.out_height * p.out_width;
    // The digits of the word that are left.
    var rest = digits_from(index[output / PER_WORD], output % PER_WORD);
    for (var oy = 0u; oy < p.out_height; oy++) {
        for (var ox = 0u; ox < p.out_width; ox++) {
            if output % PER_WORD == 0u {
                rest = index[output / PER_WORD];
            }
            let place = rest % PLACES;
            rest /= PLACES;
            // A maximum is never in the padding.
            let iy = oy * p.stride_y + place / {{ kernel_width }}u - p.pad_y;
            let ix = ox * p.stride_x + place % {{ kernel_width }}u - p.pad_x;
            let at = top + iy * p.width + ix;
            dx{{ "[at / 4u][at % 4u]" if vector else "[at]" }} {{ "+=" if overlapping else "=" }} dy[output];
            output++;
        }
    }
}
