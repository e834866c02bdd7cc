// dtable[v, d] = Σ dy[i, d] over the positions i in the list of row v (link.wgsl), in order; added to dtable unless `begins` is
// set. `columns` counts vectors of four where `vector` is set.
// Variables: width, begins, vector. Dispatch: one workgroup of `width` for each row and `width` columns.
struct Params {
    rows: u32,
    columns: u32,
    chunks: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> dy: array<{{ "vec4<f32>" if vector else "f32" }}>;
@group(0) @binding(2) var<storage, read_write> first: array<u32>;
@group(0) @binding(3) var<storage, read_write> next: array<u32>;
@group(0) @binding(4) var<storage, read_write> dtable: array<{{ "vec4<f32>" if vector else "f32" }}>;

const NONE = 0xffffffffu;

{% include "parts/grid.wgsl" %}

@compute @workgroup_size({{ width }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = group_index(group, groups);
    let row = index / p.chunks;
    let column = (index % p.chunks) * {{ width }}u + lane;
    if row >= p.rows || column >= p.columns {
        return;
    }
    let at = row * p.columns + column;
    var sum = {{ ("vec4<f32>()" if vector else "0.0") if begins else "dtable[at]" }};
    for (var i = first[row]; i != NONE; i = next[i]) {
        sum += dy[i * p.columns + column];
    }
    dtable[at] = sum;
}
