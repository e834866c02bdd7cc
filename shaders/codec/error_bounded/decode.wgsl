// x̂ from Rice codes, see crates/tensor/src/codec/error_bounded/mod.rs.
// Variables: masked, width. Dispatch: one invocation of {{ width }} for each tile.
{% include "codec/error_bounded/params.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;
{% if masked %}
@group(0) @binding(2) var<storage, read_write> mask: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;
{% else %}
@group(0) @binding(2) var<storage, read_write> x: array<vec4<f32>>;
{% endif %}

{% include "parts/grid.wgsl" %}

@compute @workgroup_size({{ width }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = group_index(group, groups) * {{ width }}u + lane;
    if tile >= p.tiles {
        return;
    }
    let step = bitcast<f32>(words[0]);
    let dither_start = words[1] + p.first;
    let here = tile_at(tile);
    let start = here.start;
    let stop = here.stop;
    let block = block_size();
    let head = words[head_of(tile)];
    let mode = head >> 30u;
    var at = p.payload + (head & 0x3fffffffu);
    if head == LOST {
        for (var i = start; i < stop; i++) {
            x[i] = vec4<f32>();
        }
        return;
    }
    if mode == RAW {
        for (var i = start; i < stop; i++) {
            x[i] = bitcast<vec4<f32>>(vec4(words[at], words[at + 1u], words[at + 2u], words[at + 3u]));
            at += 4u;
        }
        return;
    }
    var parameters = words[head_of(tile) + 1u];
    let last = p.payload + p.capacity - 1u;
{% if not masked %}
    var left = 0;
{% endif %}
    // The next bits are those of `low` from `used` on, then those of `high`; `ahead` follows.
    var low = words[min(at, last)];
    var high = words[min(at + 1u, last)];
    var used = 0u;
    for (var first = start; first < stop; first += block) {
        let parameter = parameters & 15u;
        parameters >>= 4u;
        let k = max(parameter, 1u) - 1u;
        let lower = (1u << k) - 1u;
{% if masked %}
        var bits = 0u;
{% endif %}
        for (var i = first; i < min(first + block, stop); i++) {
{% if masked %}
            if i % 8u == 0u {
                bits = mask[i / 8u];
            }
            let open = (vec4(bits) & vec4(1u, 2u, 4u, 8u)) != vec4<u32>();
            bits >>= 4u;
{% else %}
            let open = lanes_of(i) < vec4(p.elements);
{% endif %}
            let coded = open & vec4(parameter > 0u);
            var u = vec4<u32>();
{% for pair in ["xy", "zw"] %}
            {
                // Two codes are at most 32 bits.
                var window = (low >> used) | ((high << (31u - used)) << 1u);
{% for c in pair %}
                let long_{{ c }} = firstTrailingBit(window | 0x8000u);
                let length_{{ c }} = select(0u, long_{{ c }} + 1u + k, coded.{{ c }});
                u.{{ c }} = select(0u, (long_{{ c }} << k) | ((window >> (long_{{ c }} + 1u)) & lower), coded.{{ c }});
                window >>= length_{{ c }};
{% endfor %}
                used += length_{{ pair[0] }} + length_{{ pair[1] }};
                let ahead = words[min(at + 2u, last)];
                let next = used >= 32u;
                low = select(low, high, next);
                high = select(high, ahead, next);
                at += u32(next);
                used &= 31u;
            }
{% endfor %}
{% if masked %}
            let d = dither(i, dither_start);
            x[i] = select(vec4<f32>(), value_of(bitcast<vec4<i32>>(u), d, step), open);
{% else %}
            let d = select(dither(i, dither_start), vec4(0.5), mode == ROUNDED);
            let q = bitcast<vec4<i32>>(u >> vec4(1u)) ^ -bitcast<vec4<i32>>(u & vec4(1u));
            let sum = vec4(q.x, q.x + q.y, (q.x + q.y) + q.z, (q.x + q.y) + (q.z + q.w)) + left;
            left = sum.w;
            x[i] = value_of(select(q, sum, mode == DELTA), d, step);
{% endif %}
        }
    }
}
