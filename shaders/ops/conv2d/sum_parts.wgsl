// sum[i] = Σ over j of partial[j, i], in order of j; added to sum[i] if `adds` is set.
// Dispatch: one invocation of 64 for each element.
struct Params {
    parts: u32,
    count: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> sum: array<f32>;

{% include "parts/each.wgsl" %}

fn each(i: u32) {
    var total = 0.0;
    for (var j = 0u; j < p.parts; j++) {
        total += partial[j * p.count + i];
    }
    sum[i] = {{ "sum[i] + " if adds is defined }}total;
}
