// sum ← sum + samples · gradient, with the samples that the loss counted; in the first batch of a step from 0. With `counts` the
// samples themselves are summed. Does nothing once the status stops the step.
// Variables: counts. Dispatch: one invocation of 64 for each vector of four.
{% include "parts/step.wgsl" %}

struct Params {
    count: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> sum: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> loss: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> control: array<u32>;
@group(0) @binding(4) var<storage, read_write> status: array<u32>;
{% if not counts %}
@group(0) @binding(5) var<storage, read_write> gradient: array<vec4<f32>>;
{% endif %}

{% include "parts/each.wgsl" %}

fn each(i: u32) {
    if status[STATUS_STOP] != 0u {
        return;
    }
    let first = (control[CONTROL_FLAGS] & FLAG_FIRST) != 0u;
    sum[i] = select(sum[i], vec4<f32>(), first) + loss[0].z * {{ "vec4(1.0)" if counts else "gradient[i]" }};
}
