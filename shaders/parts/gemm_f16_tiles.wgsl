{# C = A·B with operands rounded to f16 and sums in f32, by tiles in workgroup memory: as parts/gemm_tiles.wgsl in f32, where
   the interface is. Products of two halves are exact in f32.

   Dispatch: ⌈rows / (16·tile_rows)⌉ · ⌈columns / 64⌉ · parts · products workgroups of 256. -#}
{% set height = 16 * tile_rows %}
var<workgroup> tile_a: array<f16, {{ 16 * (height + 1) }}>;
var<workgroup> tile_b: array<vec4<f16>, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let down = (p.rows + {{ height - 1 }}u) / {{ height }}u;
    let right_tiles = (p.columns + 63u) / 64u;
    let index = group_index(group, groups);
    let row_base = (index % down) * {{ height }}u;
    let column_base = ((index / down) % right_tiles) * 64u;
{% if grouped is defined %}
    let part = index / (down * right_tiles) % p.parts;
    member = index / (down * right_tiles) / p.parts;
{% else %}
    let part = index / (down * right_tiles);
{% endif %}
    let start = part * p.chunk;
    let stop = min(start + p.chunk, p.depth);
    let y = lane / 16u;
    let x = lane % 16u;
{% for i in range(tile_rows) %}
    var sum{{ i }} = vec4<f32>();
{% endfor %}
    for (var k_base = start; k_base < stop; k_base += 16u) {
        // A: lane → (row, k) with k fastest, so that rows of weights are read in order.
{% for i in range(tile_rows) %}
        {
            let k = k_base + x;
            let row = row_base + y + {{ 16 * i }}u;
            var value = 0.0;
            if row < p.rows && k < stop {
                value = left(row, k);
            }
            tile_a[x * {{ height + 1 }}u + y + {{ 16 * i }}u] = f16(value);
        }
{% endfor %}
        // B: lane → (k, column) with the column fastest.
        {
            let k = k_base + y;
            var value = vec4<f32>();
            for (var i = 0u; i < 4u; i++) {
                let column = column_base + x + 16u * i;
                if column < p.columns && k < stop {
                    value[i] = right(k, column);
                }
            }
            tile_b[y * 16u + x] = vec4<f16>(value);
        }
        workgroupBarrier();
{% for k in range(16) %}
        {
            let b = vec4<f32>(tile_b[{{ 16 * k }}u + x]);
{% for i in range(tile_rows) %}
            sum{{ i }} += f32(tile_a[{{ k * (height + 1) + 16 * i }}u + y]) * b;
{% endfor %}
        }
{% endfor %}
        workgroupBarrier();
    }
    // A part past the end of the depth has nothing to add, and nobody reads its place.
    if start < max(p.depth, 1u) {
{% for i in range(tile_rows) %}
        for (var i = 0u; i < 4u; i++) {
            let row = row_base + y + {{ 16 * i }}u;
            let column = column_base + x + 16u * i;
            if row < p.rows && column < p.columns {
                put(part, row, column, sum{{ i }}[i]);
            }
        }
{% endfor %}
    }
}
