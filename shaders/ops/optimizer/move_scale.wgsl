// After all updates: a step that was skipped halves the scale, at most down to `least`, is counted, and clears the status;
// `grow_after` good steps in a row double it, at most up to `most`. Does nothing once the status stops the step.
// Variables: summed. Dispatch: one workgroup of 1.
{% include "parts/step.wgsl" %}

struct Params {
    skipped: u32,
    grow_after: f32,
    least: f32,
    most: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> scale: array<f32>;
@group(0) @binding(2) var<storage, read_write> good_steps: array<f32>;
@group(0) @binding(3) var<storage, read_write> status: array<u32>;
{% if summed %}
@group(0) @binding(4) var<storage, read_write> control: array<u32>;
{% endif %}

{% include "parts/update_skipped.wgsl" %}

@compute @workgroup_size(1)
fn main() {
    if status[STATUS_STOP] == p.skipped {
        status[STATUS_STOP] = 0u;
        status[STATUS_SKIPPED_STEPS] += 1u;
        scale[0] = max(0.5 * scale[0], p.least);
        good_steps[0] = 0.0;
    } else if !update_skipped() {
        good_steps[0] += 1.0;
        if good_steps[0] >= p.grow_after {
            scale[0] = min(2.0 * scale[0], max(scale[0], p.most));
            good_steps[0] = 0.0;
        }
    }
}
