// x̂ = mean of the block + m + q·s, see crates/tensor/src/codec/frequency_split.rs.
// Variables: bits. Dispatch: one invocation of 64 for each word of codes.
struct Params {
{% include "codec/frequency_split/params.wgsl" %}
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

{% include "parts/grid.wgsl" %}

{% include "parts/bf16.wgsl" %}

const PER_WORD = {{ 32 // bits }}u;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= p.planes * p.codes {
        return;
    }
    let plane = index / p.codes;
    let word = index % p.codes;
    let base = plane * (p.head + p.codes);
    let elements = p.height * p.width;
    let m = bf16_value(words[base]);
    let s = bf16_value(words[base] >> 16u);
    var codes = words[base + p.head + word];
    for (var i = word * PER_WORD; i < min((word + 1u) * PER_WORD, elements); i++) {
        let block = (i / p.width / p.block) * p.across + (i % p.width) / p.block;
        let mean = bf16_value(words[base + 1u + block / 2u] >> (16u * (block % 2u)));
        x[plane * elements + i] = mean + (m + f32(codes & {{ 2 ** bits - 1 }}u) * s);
        codes >>= {{ bits }}u;
    }
}
