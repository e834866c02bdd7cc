{#-
Adds shares of a sum in a fixed order:  sum[i] = partial[0][i] + partial[1][i] + ... + partial[splits - 1][i],  i < count.

Template variables: none.
Bindings: 0 Params, 1 partial (splits * count values), 2 sum
Dispatch: ceil(count / 64) workgroups; folded as group = wid.x + wid.y * num_workgroups.x
-#}
struct Params { count: u32, splits: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> sum: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wid.x + wid.y * count.x) * 64u + lane;
  if (i < p.count) {
    var total = 0.0;
    var at = i;
    for (var q = 0u; q < p.splits; q++) {
      total += partial[at];
      at += p.count;
    }
    sum[i] = total;
  }
}
