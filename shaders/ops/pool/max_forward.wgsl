// y[n,c,oy,ox] = max over the window of x; index = its place in the window, row by row, packed as in
// codec/window_index.rs, {{ per_word }} in a word. Of equal elements the first is the maximum; a NaN exceeds all others, the last of several.
// Variables: places, per_word, bits, kernel_height, kernel_width, those of parts/epilogue.wgsl. Dispatch: one invocation of 64 for each word of indices.
struct Params {
{% include "ops/pool/params.wgsl" %}
{% if kind is defined %}
    low: f32,
    high: f32,
{% endif %}
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> index: array<u32>;

{% set vector, last = false, 4 %}
{% include "parts/epilogue.wgsl" %}
{% include "parts/grid.wgsl" %}

{% include "parts/bits.wgsl" %}

{% include "parts/window_index.wgsl" %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let word = group_index(group, groups) * 64u + lane;
    let start = word * PER_WORD;
    if start >= p.outputs {
        return;
    }
    var ox = start % p.out_width;
    var oy = (start / p.out_width) % p.out_height;
    var plane = start / (p.out_width * p.out_height);
    var packed = 0u;
    // That of the next digit.
    var base = 1u;
    for (var output = start; output < min(start + PER_WORD, p.outputs); output++) {
        var best = 0.0;
        var place = 0u;
        var found = false;
        for (var r = 0u; r < {{ kernel_height }}u; r++) {
            for (var s = 0u; s < {{ kernel_width }}u; s++) {
                // Above or left of the input these wrap to huge numbers.
                let iy = oy * p.stride_y + r - p.pad_y;
                let ix = ox * p.stride_x + s - p.pad_x;
                if iy < p.height && ix < p.width {
                    let value = x[(plane * p.height + iy) * p.width + ix];
                    if !found | (value > best) | is_nan(value) {
                        best = value;
                        place = r * {{ kernel_width }}u + s;
                        found = true;
                    }
                }
            }
        }
        y[output] = {{ "epilogue(best, 0.0)" if kind is defined else "best" }};
        packed += place * base;
        base *= PLACES;
        // Counted on: divisions cost more than all else here.
        ox++;
        if ox == p.out_width {
            ox = 0u;
            oy++;
        }
        if oy == p.out_height {
            oy = 0u;
            plane++;
        }
    }
    index[word] = packed;
}
