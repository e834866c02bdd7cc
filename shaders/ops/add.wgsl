// y = a + b, element by element; in place: a += b.
// Variables: in_place. Dispatch: one invocation of 64 for each vector of four.
struct Params {
    count: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> b: array<vec4<f32>>;
{% if not in_place %}
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
{% endif %}

{% include "parts/each.wgsl" %}

fn each(i: u32) {
    {{ "a" if in_place else "y" }}[i] = a[i] + b[i];
}
