// x̂ = mean of the cell + (m + q·s), see crates/tensor/src/codec/frequency_split.rs.
// Variables: bits, vector (rows and cells are whole vectors), parity, tiles, run.
// Dispatch: with tiles one invocation of 64 for each word of codes, without one invocation of 8 for each plane.
{% include "codec/frequency_split/params.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;
@group(0) @binding(2) var<storage, read_write> x: array<Packet>;

{% include "parts/grid.wgsl" %}

// What the codes say of STEP elements.
fn rest_of(codes: u32, m: f32, s: f32) -> Packet {
    return {{ "unpacked(codes) / s + m" if parity else "m + unpacked(codes) * s" }};
}

fn codes_at(base: u32, word: u32) -> u32 {
    if is_beside(word) {
        return words[base + p.head - 1u] >> 16u;
    }
    return words[base + p.head + word];
}

{% if tiles %}
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
    let base = plane * p.stride;
    let elements = p.height * p.width;
    let m = bf16_value(words[base]);
    let s = bf16_value(words[base] >> 16u);
    let codes = codes_at(base, word);
    for (var j = 0u; j < min(PER_WORD, elements - word * PER_WORD); j += STEP) {
        let i = word * PER_WORD + j;
        let row = cell_at(i / p.width, p.down, p.height) * p.across;
        let mean = mean_of(base, row + cell_at(i % p.width, p.across, p.width));
        x[(plane * elements + i) / STEP] = mean + rest_of(codes >> ({{ bits }}u * j), m, s);
    }
}
{% else %}
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
    let base = plane * p.stride;
    let m = bf16_value(words[base]);
    let s = bf16_value(words[base] >> 16u);
    // Word by word along the rows, so that no index has to be divided.
    let whole = p.height * p.width / PER_WORD;
    var at = plane * p.height * p.width / STEP;
    let stop = at + p.height * p.width / STEP;
    var place = Place();
    for (var word = 0u; word < whole; word++) {
        let codes = words[base + p.head + word];
{% for start in range(0, 32, bits * run) %}
        let mean_{{ start }} = mean_of(base, cell_of(place));
        place = after(place);
{% for bit in range(start, start + bits * run, bits * step) %}
        x[at] = mean_{{ start }} + rest_of(codes >> {{ bit }}u, m, s);
        at++;
{% endfor %}
{% endfor %}
    }
    if whole == p.codes {
        return;
    }
    var codes = codes_at(base, whole);
    while at < stop {
        let mean = mean_of(base, cell_of(place));
        place = after(place);
        for (var i = 0u; i < {{ run }}u && at < stop; i += STEP) {
            x[at] = mean + rest_of(codes, m, s);
            codes >>= {{ bits * step if bits * step < 32 else 0 }}u;
            at++;
        }
    }
}
{% endif %}
