// y = table[channel, byte] for each byte of x, four to a word: 256 entries for each channel.
// Variables: vector (planes are whole words). Dispatch: one invocation of 64 for each word of x.
struct Params {
    count: u32,
    // Elements of a plane; its words if they are whole ones.
    plane: u32,
    channels: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

{% include "parts/each.wgsl" %}

fn each(i: u32) {
    let bytes = vec4(x[i]) >> vec4(0u, 8u, 16u, 24u) & vec4(255u);
{% if vector %}
    let at = 256u * (i / p.plane % p.channels) + bytes;
{% else %}
    let at = 256u * ((4u * i + vec4(0u, 1u, 2u, 3u)) / p.plane % p.channels) + bytes;
{% endif %}
    y[i] = vec4(table[at.x], table[at.y], table[at.z], table[at.w]);
}
