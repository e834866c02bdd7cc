// Lists of the positions of each row: first[v] is the first position i, start ≤ i < stop, with indices[i] = v, and
// next[i] the one behind i with the same row; NONE ends a list.
// Each invocation owns `owned` rows that lie side by side and walks over all positions, from the last to the first: no two
// write the same element, and the lists are in order.
// Variables: width. Dispatch: one invocation of `width` for each `owned` rows.
struct Params {
    rows: u32,
    owned: u32,
    start: u32,
    stop: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> indices: array<u32>;
@group(0) @binding(2) var<storage, read_write> first: array<u32>;
@group(0) @binding(3) var<storage, read_write> next: array<u32>;

const NONE = 0xffffffffu;

{% include "parts/grid.wgsl" %}

@compute @workgroup_size({{ width }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let begin = (group_index(group, groups) * {{ width }}u + lane) * p.owned;
    let end = min(begin + p.owned, p.rows);
    for (var row = begin; row < end; row++) {
        first[row] = NONE;
    }
    for (var i = p.stop; i > p.start;) {
        i--;
        let row = indices[i];
        if row >= begin && row < end {
            next[i] = first[row];
            first[row] = i;
        }
    }
}
