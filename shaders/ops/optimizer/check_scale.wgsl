// status gets the bit `skipped` where a gradient is not finite; used = (scale, 1 if so, else 0). Does nothing once the status stops the step,
// nor in batches after which parameters are not updated: their gradients are part of the sum that a later batch checks.
// Variables: summed. Dispatch: one workgroup of 1.
{% include "parts/step.wgsl" %}

struct Params {
    skipped: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> squares: array<f32>;
@group(0) @binding(2) var<storage, read_write> scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> status: array<u32>;
{% if summed %}
@group(0) @binding(4) var<storage, read_write> control: array<u32>;
{% endif %}
@group(0) @binding({{ 5 if summed else 4 }}) var<storage, read_write> used: array<f32>;

{% include "parts/bits.wgsl" %}

{% include "parts/update_skipped.wgsl" %}

@compute @workgroup_size(1)
fn main() {
    let skips = !update_skipped() && !is_finite(squares[0]);
    if skips {
        status[STATUS_STOP] = p.skipped;
    }
    used[0] = scale[0];
    used[1] = select(0.0, 1.0, skips);
}
