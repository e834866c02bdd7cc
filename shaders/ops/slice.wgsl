// y[i] = x[i + offset] for indices i of four axes, or 0 where x has no such element.
// Elements are vectors where the last axis and its offset are whole ones.
// Variables: vector. Dispatch: one invocation of 64 for each element of y.
struct Params {
    count: u32,
    // Of y; the extent of its first axis is never needed.
    made_1: u32,
    made_2: u32,
    made_3: u32,
    // Of x.
    read_0: u32,
    read_1: u32,
    read_2: u32,
    read_3: u32,
    // Negative ones as they wrap: what lies before x is then far behind its end.
    offset_0: u32,
    offset_1: u32,
    offset_2: u32,
    offset_3: u32,
}

alias Element = {{ "vec4<f32>" if vector else "f32" }};

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<Element>;
@group(0) @binding(2) var<storage, read_write> y: array<Element>;

{% include "parts/each.wgsl" %}

fn each(index: u32) {
    let outer_2 = index / p.made_3;
    let outer_1 = outer_2 / p.made_2;
    let i3 = index % p.made_3 + p.offset_3;
    let i2 = outer_2 % p.made_2 + p.offset_2;
    let i1 = outer_1 % p.made_1 + p.offset_1;
    let i0 = outer_1 / p.made_1 + p.offset_0;
    var value = Element();
    if i0 < p.read_0 && i1 < p.read_1 && i2 < p.read_2 && i3 < p.read_3 {
        value = x[((i0 * p.read_1 + i1) * p.read_2 + i2) * p.read_3 + i3];
    }
    y[index] = value;
}
