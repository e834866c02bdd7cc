{# C = A·B with tiles in workgroup memory: each invocation has a block of C in registers and reads A and B for it as vectors.

   The including kernel has rows, columns, depth, chunk first in its Params, and says where things lie. What it has to divide
   it divides in the functions of one index, which are called once for a row or a column, and once for each step of the depth:
     fn left_row(row: u32) -> u32, fn left_depth(k: u32) -> u32, fn left(at: u32) -> f32
       A(row, k) = left(left_row(row) + left_depth(k))
     Place, fn right_depth(k: u32) -> Place, fn right_column(column: u32) -> Place,
     fn right(depth: Place, column: Place) -> f32
       B(k, column) = right(right_depth(k), right_column(column)); Place is a type of the kernel's own
     fn out_row(part: u32, row: u32) -> u32, fn out_column(column: u32) -> u32, fn put(at: u32, sum: f32)
       C(row, column) goes to out_row(part, row) + out_column(column); part: which chunk of the depth was summed. If something
       follows (`kind` is set, see parts/epilogue.wgsl), put takes row and column as well
   all called only inside the extents. It sets left_along_depth and right_along_depth: whether neighbours along the depth are
   neighbours in memory, so that invocations side by side read them (along rows and columns otherwise).

   A vector of a tile holds rows (columns) a quarter of the tile apart, so that invocations side by side read and write
   neighbours; both tiles lie by steps of the depth, one vector longer than they need be, so that storing a column of them
   meets different banks. Each sum is taken in order of k, whatever the tile.

   Variables: operand (f16 to hold that in workgroup memory; sums are f32), tile_rows, tile_columns, tile_depth, rows_per_invocation, columns_per_invocation (see Tile in ops/gemm.rs); grouped
   (if it is set: several products of the same extents; Params has their `parts`, and the private `member` says which one is
   at work).
   Dispatch: ⌈rows / tile_rows⌉ · ⌈columns / tile_columns⌉ · parts · products workgroups. -#}
{% set lanes_down = tile_rows // rows_per_invocation %}
{% set lanes_across = tile_columns // columns_per_invocation %}
{% set lanes = lanes_down * lanes_across %}
{# Elements of a vector, and vectors for each step of the depth. -#}
{% set a_width = [rows_per_invocation, 4] | min %}
{% set b_width = [columns_per_invocation, 4] | min %}
{% set a_vectors = tile_rows // a_width %}
{% set b_vectors = tile_columns // b_width %}
{# What workgroup memory holds: f32, or f16. -#}
{% set held = operand if operand is defined else "f32" %}
{% macro vector(width, element="f32") %}{{ element if width == 1 else "vec" ~ width ~ "<" ~ element ~ ">" }}{% endmacro %}
{% macro part(width, i) %}{{ "" if width == 1 else "." ~ "xyzw"[i] }}{% endmacro %}
var<workgroup> tile_a: array<{{ vector(a_width, held) }}, {{ tile_depth * (a_vectors + 1) }}>;
var<workgroup> tile_b: array<{{ vector(b_width, held) }}, {{ tile_depth * (b_vectors + 1) }}>;

{# Which vectors of a tile an invocation brings: along the depth they are of one step, else of as many steps as rounds. -#}
{% macro rounds(vectors) -%}
{{ (vectors * tile_depth + lanes - 1) // lanes }}
{%- endmacro %}
{% macro vector_of(round, vectors, along_depth) -%}
{{ "lane / " ~ tile_depth ~ "u + " ~ round * lanes // tile_depth ~ "u" if along_depth else "lane % " ~ vectors ~ "u" }}
{%- endmacro %}
{% macro step_of(round, vectors, along_depth) -%}
{{ "lane % " ~ tile_depth ~ "u" if along_depth else "lane / " ~ vectors ~ "u + " ~ round * lanes // vectors ~ "u" }}
{%- endmacro %}
@compute @workgroup_size({{ lanes }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tiles_down = (p.rows + {{ tile_rows - 1 }}u) / {{ tile_rows }}u;
    let tiles_across = (p.columns + {{ tile_columns - 1 }}u) / {{ tile_columns }}u;
    let index = group_index(group, groups);
    let row_base = (index % tiles_down) * {{ tile_rows }}u;
    let column_base = ((index / tiles_down) % tiles_across) * {{ tile_columns }}u;
{% if grouped is defined %}
    let part = index / (tiles_down * tiles_across) % p.parts;
    member = index / (tiles_down * tiles_across) / p.parts;
{% else %}
    let part = index / (tiles_down * tiles_across);
{% endif %}
    let start = part * p.chunk;
    let stop = min(start + p.chunk, p.depth);
    // Beyond the extents the last row and column are read instead, and their sums thrown away.
    let last_row = p.rows - 1u;
    let last_column = p.columns - 1u;
{% set a_rounds = rounds(a_vectors) | int %}
{% set b_rounds = rounds(b_vectors) | int %}
{% for round in range(a_rounds) %}
    let a_vector{{ round }} = {{ vector_of(round, a_vectors, left_along_depth) }};
    let a_step{{ round }} = {{ step_of(round, a_vectors, left_along_depth) }};
{% for i in range(a_width) %}
    let a_row{{ round }}_{{ i }} = left_row(min(row_base + a_vector{{ round }} + {{ i * a_vectors }}u, last_row));
{% endfor %}
{% endfor %}
{% for round in range(b_rounds) %}
    let b_vector{{ round }} = {{ vector_of(round, b_vectors, right_along_depth) }};
    let b_step{{ round }} = {{ step_of(round, b_vectors, right_along_depth) }};
{% for i in range(b_width) %}
    let b_column{{ round }}_{{ i }} = right_column(min(column_base + b_vector{{ round }} + {{ i * b_vectors }}u, last_column));
{% endfor %}
{% endfor %}
    let x = lane % {{ lanes_across }}u;
    let y = lane / {{ lanes_across }}u;
{% for i in range(rows_per_invocation) %}{% for j in range(columns_per_invocation // b_width) %}
    var sum{{ i }}_{{ j }} = {{ vector(b_width) }}();
{% endfor %}{% endfor %}
    for (var k_base = start; k_base < stop; k_base += {{ tile_depth }}u) {
{% for round in range(a_rounds) %}
        {{ "if lane < " ~ a_vectors * tile_depth ~ "u " if lanes > a_vectors * tile_depth }}{
            let k = k_base + a_step{{ round }};
            let depth = left_depth(min(k, stop - 1u));
            let value = {{ vector(a_width) }}(
{% for i in range(a_width) %}
                left(a_row{{ round }}_{{ i }} + depth),
{% endfor %}
            );
            tile_a[a_step{{ round }} * {{ a_vectors + 1 }}u + a_vector{{ round }}] = {{ vector(a_width, held) }}(select({{ vector(a_width) }}(), value, k < stop));
        }
{% endfor %}
{% for round in range(b_rounds) %}
        {{ "if lane < " ~ b_vectors * tile_depth ~ "u " if lanes > b_vectors * tile_depth }}{
            let k = k_base + b_step{{ round }};
            let depth = right_depth(min(k, stop - 1u));
            let value = {{ vector(b_width) }}(
{% for i in range(b_width) %}
                right(depth, b_column{{ round }}_{{ i }}),
{% endfor %}
            );
            tile_b[b_step{{ round }} * {{ b_vectors + 1 }}u + b_vector{{ round }}] = {{ vector(b_width, held) }}(select({{ vector(b_width) }}(), value, k < stop));
        }
{% endfor %}
        workgroupBarrier();
{% for k in range(tile_depth) %}
        {
{% for j in range(columns_per_invocation // b_width) %}
            let b{{ j }} = {{ vector(b_width) }}(tile_b[{{ k * (b_vectors + 1) + j * lanes_across }}u + x]);
{% endfor %}
{% for i in range(rows_per_invocation // a_width) %}
            let a{{ i }} = {{ vector(a_width) }}(tile_a[{{ k * (a_vectors + 1) + i * lanes_down }}u + y]);
{% for e in range(a_width) %}{% for j in range(columns_per_invocation // b_width) %}
            sum{{ i * a_width + e }}_{{ j }} += a{{ i }}{{ part(a_width, e) }} * b{{ j }};
{% endfor %}{% endfor %}
{% endfor %}
        }
{% endfor %}
        workgroupBarrier();
    }
    // A part past the end of the depth has nothing to add, and nobody reads its place.
    if start < max(p.depth, 1u) {
{% for j in range(columns_per_invocation // b_width) %}{% for f in range(b_width) %}
        {
            let column = column_base + x + {{ j * lanes_across + f * b_vectors }}u;
            if column < p.columns {
                let to = out_column(column);
{% for i in range(rows_per_invocation // a_width) %}{% for e in range(a_width) %}
                {
                    let row = row_base + y + {{ i * lanes_down + e * a_vectors }}u;
                    if row < p.rows {
                        put(to + out_row(part, row), sum{{ i * a_width + e }}_{{ j }}{{ part(b_width, f) }}{{ ", row, column" if kind is defined }});
                    }
                }
{% endfor %}{% endfor %}
            }
        }
{% endfor %}{% endfor %}
    }
}
