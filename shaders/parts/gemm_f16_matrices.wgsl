{# C = A·B with operands rounded to f16 and sums in f32, by cooperative matrices: four subgroups share a tile of C, each sums a
   block of it in matrices of extent×extent elements, which its invocations hold together. 32 steps of the depth at a time lie
   as f16 in workgroup memory, row by row; in the end sums go through it one matrix per subgroup at a time.

   Interface: see parts/gemm_tiles.wgsl. Variables: tile_rows (16, 32 or 64), extent (8 or 16), subgroup (its invocations), grouped.
   Needs subgroups of that one size. Rows in workgroup memory are 8 elements longer than what they hold: where matrices are
   loaded, drivers want multiples of 16 bytes, and banks of memory want no powers of two.
   Dispatch: ⌈rows / tile_rows⌉ · ⌈columns / 64⌉ · parts · products workgroups of 4·subgroup. -#}
{% set height = tile_rows %}
{% set lanes = 4 * subgroup %}
{% set down_blocks = 1 if height == 16 else 2 %}
{% set across_blocks = 4 // down_blocks %}
{% set block_rows = height // (down_blocks * extent) %}
{% set block_columns = 64 // (across_blocks * extent) %}
{% set matrix = "coop_mat" ~ extent ~ "x" ~ extent %}
var<workgroup> tile_a: array<f16, {{ height * 40 }}>;
var<workgroup> tile_b: array<f16, {{ 32 * 72 }}>;
var<workgroup> tile_c: array<f32, {{ 4 * extent * extent }}>;

@compute @workgroup_size({{ lanes }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) block: u32,
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
    let block_row = block / {{ across_blocks }}u * {{ block_rows * extent }}u;
    let block_column = block % {{ across_blocks }}u * {{ block_columns * extent }}u;
{% for r in range(block_rows) %}{% for c in range(block_columns) %}
    var sum{{ r }}_{{ c }} = {{ matrix }}<f32, C>();
{% endfor %}{% endfor %}
    for (var k_base = start; k_base < stop; k_base += 32u) {
        // A: lane → (row, k) with k fastest, so that rows of weights are read in order.
{% for i in range(height * 32 // lanes) %}
        {
            let at = lane + {{ lanes * i }}u;
            let k = k_base + at % 32u;
            let row = row_base + at / 32u;
            var value = 0.0;
            if row < p.rows && k < stop {
                value = left(left_row(row) + left_depth(k));
            }
            tile_a[at / 32u * 40u + at % 32u] = f16(value);
        }
{% endfor %}
        // B: lane → (k, column) with the column fastest.
{% for i in range(2048 // lanes) %}
        {
            let at = lane + {{ lanes * i }}u;
            let k = k_base + at / 64u;
            let column = column_base + at % 64u;
            var value = 0.0;
            if column < p.columns && k < stop {
                value = right(right_depth(k), right_column(column));
            }
            tile_b[at / 64u * 72u + at % 64u] = f16(value);
        }
{% endfor %}
        workgroupBarrier();
{% for k in range(0, 32, extent) %}
        {
{% for r in range(block_rows) %}
            let a{{ r }} = coopLoadT<{{ matrix }}<f16, A>>(&tile_a[(block_row + {{ r * extent }}u) * 40u + {{ k }}u], 40u);
{% endfor %}
{% for c in range(block_columns) %}
            let b{{ c }} = coopLoadT<{{ matrix }}<f16, B>>(&tile_b[block_column + {{ 72 * k + c * extent }}u], 72u);
{% for r in range(block_rows) %}
            sum{{ r }}_{{ c }} = coopMultiplyAdd(a{{ r }}, b{{ c }}, sum{{ r }}_{{ c }});
{% endfor %}
{% endfor %}
        }
{% endfor %}
        workgroupBarrier();
    }
    // A part past the end of the depth has nothing to add, and nobody reads its place.
    let adds = start < max(p.depth, 1u);
{% for r in range(block_rows) %}{% for c in range(block_columns) %}
    coopStoreT(sum{{ r }}_{{ c }}, &tile_c[block * {{ extent * extent }}u], {{ extent }}u);
    workgroupBarrier();
    for (var at = lane; at < {{ 4 * extent * extent }}u; at += {{ lanes }}u) {
        let whose = at / {{ extent * extent }}u;
        let row = row_base + (whose / {{ across_blocks }}u * {{ block_rows }}u + {{ r }}u) * {{ extent }}u + at / {{ extent }}u % {{ extent }}u;
        let column = column_base + (whose % {{ across_blocks }}u * {{ block_columns }}u + {{ c }}u) * {{ extent }}u + at % {{ extent }}u;
        if adds && row < p.rows && column < p.columns {
            put(out_row(part, row) + out_column(column), tile_c[at]{{ ", row, column" if kind is defined }});
        }
    }
    workgroupBarrier();
{% endfor %}{% endfor %}
}
