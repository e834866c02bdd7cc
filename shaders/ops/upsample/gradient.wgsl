// dx[n,c,iy,ix] = Σ over the outputs (oy, ox) that read (iy, ix) of its weight there · dy[n,c,oy,ox], in order.
// Variables: bilinear. Dispatch: one invocation of 64 for each element of dx.
{% include "ops/upsample/params.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

{% include "parts/each.wgsl" %}

fn each(index: u32) {
    let row = index / p.width;
    let iy = row % p.height;
    let ix = index % p.width;
    let plane = (row / p.height) * p.out_height;
    let rows = readers(iy, p.height, p.out_height);
    let columns = readers(ix, p.width, p.out_width);
    var sum = 0.0;
    for (var oy = rows.x; oy < rows.y; oy++) {
        var part = 0.0;
        for (var ox = columns.x; ox < columns.y; ox++) {
            part += weight(ix, read(ox, p.width, p.out_width)) * dy[(plane + oy) * p.out_width + ox];
        }
        sum += weight(iy, read(oy, p.height, p.out_height)) * part;
    }
    dx[index] = sum;
}
