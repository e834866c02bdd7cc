// Before a value is encoded: the counts of its record start at zero, the step follows from the bound, the dither starts
// somewhere else in each step.
// Dispatch: one workgroup of 1.
{% include "parts/record.wgsl" %}

struct Params {
    // Step over bound.
    width: f32,
    stream: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> control: array<u32>;
@group(0) @binding(2) var<storage, read_write> record: array<u32>;
@group(0) @binding(3) var<storage, read_write> words: array<u32>;

{% include "parts/random.wgsl" %}

@compute @workgroup_size(1)
fn main() {
    record[USED] = 0u;
    record[NONZERO] = 0u;
    record[WORST] = 0u;
    record[RAW_TILES] = 0u;
    record[LARGEST] = 0u;
    words[0] = bitcast<u32>(bitcast<f32>(record[BOUND]) * p.width);
    words[1] = stream_of(p.stream, control[1], control[0]).start;
}
