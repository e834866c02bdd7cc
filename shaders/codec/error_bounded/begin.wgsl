// Prepares a value's state for encoding: sets its counts to zero, the quantisation step by the bound, and the start of the dither,
// which differs from step to step.
// Dispatch: one workgroup of 1.
{% include "parts/controller_state.wgsl" %}

{% include "parts/step.wgsl" %}

struct Params {
    // Step over bound.
    width: f32,
    stream: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> control: array<u32>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>;
@group(0) @binding(3) var<storage, read_write> words: array<u32>;

{% include "parts/random.wgsl" %}

@compute @workgroup_size(1)
fn main() {
    state[USED] = 0u;
    state[NONZERO] = 0u;
    state[WORST] = 0u;
    state[RAW_TILES] = 0u;
    state[LARGEST] = 0u;
    words[0] = bitcast<u32>(bitcast<f32>(state[BOUND]) * p.width);
    words[1] = stream_of(p.stream, control[CONTROL_SEED], control[CONTROL_STEP]).start;
}
