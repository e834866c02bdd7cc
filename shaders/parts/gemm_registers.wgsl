{# C = A·B from registers alone, for drivers that run on CPU cores: no barrier, 8 invocations side by side, each with 8
   rows and 8 columns (8 apart) of C. Interface: see parts/gemm_tiles.wgsl.
   Dispatch: ⌈rows / 8⌉ · ⌈columns / 64⌉ · parts · products workgroups of 8. -#}
@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let down = (p.rows + {{ tile_rows - 1 }}u) / {{ tile_rows }}u;
    let right_tiles = (p.columns + 63u) / 64u;
    let index = group_index(group, groups);
    let row_base = (index % down) * {{ tile_rows }}u;
    let column_base = ((index / down) % right_tiles) * 64u + lane;
{% if grouped is defined %}
    let part = index / (down * right_tiles) % p.parts;
    member = index / (down * right_tiles) / p.parts;
{% else %}
    let part = index / (down * right_tiles);
{% endif %}
    let start = part * p.chunk;
    let stop = min(start + p.chunk, p.depth);
    if start >= max(p.depth, 1u) {
        return;
    }
    // Outside the extents the last row and column are read instead, and their sums thrown away.
    let last_row = p.rows - 1u;
    let last_column = p.columns - 1u;
{% for j in range(8) %}
    let column{{ j }} = right_column(min(column_base + {{ 8 * j }}u, last_column));
{% endfor %}
{% for i in range(tile_rows) %}
    let row{{ i }} = left_row(min(row_base + {{ i }}u, last_row));
{% endfor %}
{% for i in range(tile_rows) %}{% for j in range(8) %}
    var sum{{ i }}_{{ j }} = 0.0;
{% endfor %}{% endfor %}
    for (var k = start; k < stop; k++) {
        let right_k = right_depth(k);
        let left_k = left_depth(k);
{% for j in range(8) %}
        let b{{ j }} = right(right_k, column{{ j }});
{% endfor %}
{% for i in range(tile_rows) %}
        let a{{ i }} = left(row{{ i }} + left_k);
{% for j in range(8) %}
        sum{{ i }}_{{ j }} += a{{ i }} * b{{ j }};
{% endfor %}{% endfor %}
    }
{% for i in range(tile_rows) %}
    if row_base + {{ i }}u < p.rows {
{% for j in range(8) %}
        if column_base + {{ 8 * j }}u < p.columns {
            put(out_row(part, row_base + {{ i }}u) + out_column(column_base + {{ 8 * j }}u), sum{{ i }}_{{ j }}{{ ", row_base + " ~ i ~ "u, column_base + " ~ 8 * j ~ "u" if kind is defined }});
        }
{% endfor %}
    }
{% endfor %}
}
