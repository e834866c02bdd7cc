// a ← a + rest · (w − a), rest = 1 − decay; a ← w after the first update of w. Does nothing where w is not updated.
// Variables: summed. Dispatch: one invocation of 64 for each vector of four.
{% include "parts/step.wgsl" %}

struct Params {
    count: u32,
    rest: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> control: array<u32>;
@group(0) @binding(4) var<storage, read_write> status: array<u32>;

{% include "parts/each.wgsl" %}

{% include "parts/update.wgsl" %}

fn each(i: u32) {
    if update_skipped() {
        return;
    }
    a[i] = select(a[i] + p.rest * (w[i] - a[i]), w[i], updates_before() == 0u);
}
