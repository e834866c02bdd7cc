// dx[n,c,iy,ix] = Σ of dy over the windows whose maximum was there. It gathers, so that no two invocations write the same element.
// Variables: places, per_word, bits. Dispatch: one invocation of 64 for each element of dx.
struct Params {
    count: u32,
{% include "ops/pool/params.wgsl" %}
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> index: array<u32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

{% include "parts/each.wgsl" %}

{% include "parts/window_index.wgsl" %}

fn each(input: u32) {
    let ty = (input / p.width) % p.height + p.pad_y;
    let tx = input % p.width + p.pad_x;
    let plane = input / (p.width * p.height);
    // The windows over this element: those that start at most one window before it.
    let first_y = (max(ty + 1u, p.kernel_height) - p.kernel_height + p.stride_y - 1u) / p.stride_y;
    let first_x = (max(tx + 1u, p.kernel_width) - p.kernel_width + p.stride_x - 1u) / p.stride_x;
    var sum = 0.0;
    for (var oy = first_y; oy < min(ty / p.stride_y + 1u, p.out_height); oy++) {
        for (var ox = first_x; ox < min(tx / p.stride_x + 1u, p.out_width); ox++) {
            let output = (plane * p.out_height + oy) * p.out_width + ox;
            let place = place_in(index[output / PER_WORD], output % PER_WORD);
            if place == (ty - oy * p.stride_y) * p.kernel_width + tx - ox * p.stride_x {
                sum += dy[output];
            }
        }
    }
    dx[input] = sum;
}
