// sums[i] over the i-th 256 weights, in steps that update the bounds:
//   of_noise: Σ (g − mean)², mean = average · share, what the optimiser's average says of the gradient's mean; else Σ |average|.
// Before there is an average, and where there is none: Σ g² or Σ |g|. See crates/tensor/src/codec/error_bounded/bound_controller.rs.
// Gradients are divided by the loss scale if they were multiplied by it.
// Variables: averaged, scales (of an average in codes how many scales each block has, else 0), block, of_noise, loss_scaled. Dispatch: one invocation of 8 for each sum.
{% include "parts/step.wgsl" %}

struct Params {
    elements: u32,
    chunks: u32,
    interval: u32,
    // β and c of the average Σ c·βᵏ·g.
    decay: f32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> control: array<u32>;
@group(0) @binding(2) var<storage, read_write> status: array<u32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;
{% if averaged %}
@group(0) @binding(4) var<storage, read_write> average: array<{{ "u32" if scales > 0 else "f32" }}>;
{% endif %}
{% if scales > 0 %}
@group(0) @binding(5) var<storage, read_write> block_scales: array<f32>;
{% endif %}
{% set given = 4 + (1 if averaged else 0) + (1 if scales > 0 else 0) %}
{% if loss_scaled %}
@group(0) @binding({{ given }}) var<storage, read_write> loss_scale: array<f32>;
{% endif %}
@group(0) @binding({{ given + (1 if loss_scaled else 0) }}) var<storage, read_write> sums: array<f32>;

{% include "parts/grid.wgsl" %}

{% include "parts/refresh_due.wgsl" %}

{% if scales > 0 %}
{% include "parts/moments.wgsl" %}

fn average_of(i: u32) -> f32 {
    return decoded_signed(average[i / 4u], block_scales[{{ scales }}u * (i / {{ block }}u)])[i % 4u];
}
{% elif averaged %}
fn average_of(i: u32) -> f32 {
    return average[i];
}
{% endif %}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let chunk = group_index(group, groups) * 8u + lane;
    if (chunk >= p.chunks) | !refresh_due() {
        return;
    }
    // Steps that were skipped are in no average.
    let steps = control[CONTROL_STEP] - status[STATUS_SKIPPED_STEPS];
    let t = f32(steps);
    let known = steps > 0u;
    let share = select(0.0, (1.0 - p.decay) / (p.scale * (1.0 - pow(p.decay, t))), known);
    var sum = 0.0;
    for (var i = 256u * chunk; i < min(256u * (chunk + 1u), p.elements); i++) {
        let g = gradient[i]{{ " / loss_scale[0]" if loss_scaled }};
{% if averaged and of_noise %}
        let rest = g - average_of(i) * share;
        sum += rest * rest;
{% elif of_noise %}
        sum += g * g;
{% elif averaged %}
        sum += abs(select(g, average_of(i), known));
{% else %}
        sum += abs(g);
{% endif %}
    }
    sums[chunk] = sum;
}
