// Before a value is encoded: the counts of its record start at zero, and the step follows from the bound and from the
// place in a step to which its elements are decoded: bound = step · max(center, 1 − center).
// Dispatch: one workgroup of 1.
{% include "parts/record.wgsl" %}

struct Params {
    // A little less than 1, so that rounding in single precision does not break the promise.
    slack: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> record: array<u32>;
@group(0) @binding(2) var<storage, read_write> words: array<u32>;

@compute @workgroup_size(1)
fn main() {
    record[USED] = 0u;
    record[NONZERO] = 0u;
    record[WORST] = 0u;
    record[RAW_TILES] = 0u;
    record[LARGEST] = 0u;
    record[REST] = 0u;
    let center = select(0.5, bitcast<f32>(record[CENTER]), record[CENTER] != 0u);
    words[0] = bitcast<u32>(bitcast<f32>(record[BOUND]) * p.slack / max(center, 1.0 - center));
    words[1] = bitcast<u32>(center);
}
