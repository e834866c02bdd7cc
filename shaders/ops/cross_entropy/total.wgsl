// loss = (mean of the samples' losses, correct, counted, 0) over samples with mask 1, in order; the status stops the step if the mean is
// not finite.
// Dispatch: one workgroup of 1.
{% include "parts/step.wgsl" %}

struct Params {
    samples: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> each: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> mask: array<f32>;
@group(0) @binding(3) var<storage, read_write> status: array<u32>;
@group(0) @binding(4) var<storage, read_write> loss: array<vec4<f32>>;

{% include "parts/bits.wgsl" %}

@compute @workgroup_size(1)
fn main() {
    var sum = vec2<f32>();
    var count = 0.0;
    for (var n = 0u; n < p.samples; n++) {
        if mask[n] != 0.0 {
            sum += each[n];
            count += 1.0;
        }
    }
    let mean = sum.x / max(count, 1.0);
    loss[0] = vec4(mean, sum.y, count, 0.0);
    if !is_finite(mean) {
        status[STATUS_STOP] |= STOP_NOT_FINITE;
    }
}
