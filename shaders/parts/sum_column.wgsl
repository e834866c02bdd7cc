{# A sum over the rows of each column, in fixed order: what the planes of a channel, or the samples of a batch, come to.

   The including kernel has `rows` and `columns` first in its Params, and defines
     alias Sum                                    f32 or a vector of them
     fn begin(column: u32)                        loads what all terms of a column need, into private variables
     fn term(row: u32, column: u32) -> Sum        what a row adds
     fn finish(column: u32, sum: Sum)             where the sum goes
   Variables: tiles. With tiles a workgroup of 256 serves 16 columns, whose rows 16 invocations share (dispatch: ⌈columns / 16⌉
   workgroups), without one invocation a column, in order of
   the rows (dispatch: ⌈columns / 8⌉ workgroups of 8). -#}
{% if tiles %}
var<workgroup> sums: array<Sum, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    // Neighbours read neighbouring columns.
    let column = group_index(group, groups) * 16u + lane % 16u;
    var sum = Sum();
    if column < p.columns {
        begin(column);
        for (var row = lane / 16u; row < p.rows; row += 16u) {
            sum += term(row, column);
        }
    }
    sums[lane] = sum;
    for (var width = 128u; width >= 16u; width >>= 1u) {
        workgroupBarrier();
        if lane < width {
            sums[lane] += sums[lane + width];
        }
    }
    if lane < 16u && column < p.columns {
        finish(column, sums[lane]);
    }
}
{% else %}
@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let column = group_index(group, groups) * 8u + lane;
    if column >= p.columns {
        return;
    }
    begin(column);
    var sum = Sum();
    var row = 0u;
    // Several loads in flight at a time.
    for (; row + 3u < p.rows; row += 4u) {
        let t0 = term(row, column);
        let t1 = term(row + 1u, column);
        let t2 = term(row + 2u, column);
        let t3 = term(row + 3u, column);
        sum = (((sum + t0) + t1) + t2) + t3;
    }
    for (; row < p.rows; row++) {
        sum += term(row, column);
    }
    finish(column, sum);
}
{% endif %}
