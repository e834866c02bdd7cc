{# C = A·B, one element of C per invocation: the oracle. Interface: see parts/gemm_tiles.wgsl.
   Dispatch: rows · ⌈columns / 64⌉ · parts · products workgroups of 64. -#}
@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let strips = (p.columns + 63u) / 64u;
    let index = group_index(group, groups);
    let column = (index % strips) * 64u + lane;
    let row = (index / strips) % p.rows;
{% if grouped is defined %}
    let part = index / (strips * p.rows) % p.parts;
    member = index / (strips * p.rows) / p.parts;
{% else %}
    let part = index / (strips * p.rows);
{% endif %}
    let start = part * p.chunk;
    if column >= p.columns || start >= max(p.depth, 1u) {
        return;
    }
    var sum = 0.0;
    for (var k = start; k < min(start + p.chunk, p.depth); k++) {
        sum += left(left_row(row) + left_depth(k)) * right(right_depth(k), right_column(column));
    }
    put(out_row(part, row) + out_column(column), sum{{ ", row, column" if kind is defined }});
}
