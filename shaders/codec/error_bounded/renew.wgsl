// bound = sigma · √(3/R) / gain, gain = √coverage · rms ‖δ‖ · factors, the least over all weights that a value serves; see
// crates/tensor/src/codec/error_bounded/bound_controller.rs. A value of which nothing is known yet gets a bound of an eighth of its
// largest element.
// Variables: factors (how many). Dispatch: one workgroup of 64.
{% include "parts/controller_state.wgsl" %}

{% include "parts/step.wgsl" %}

struct Params {
    planes: u32,
    channels: u32,
    // Of the gradient, of the value.
    weights: u32,
    elements: u32,
    interval: u32,
    // Flags: sigma is a fraction of the noise (else of the average's magnitude), there is an average; first and last weight
    // of the value.
    of_noise: u32,
    averaged: u32,
    first: u32,
    last: u32,
    fraction: f32,
    // β of the gradient's average.
    decay: f32,
    coverage: f32,
    // Channels of the factors.
    factored: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> state: array<u32>;
@group(0) @binding(2) var<storage, read_write> control: array<u32>;
@group(0) @binding(3) var<storage, read_write> status: array<u32>;
@group(0) @binding(4) var<storage, read_write> parts: array<f32>;
@group(0) @binding(5) var<storage, read_write> over_weights: array<f32>;
{% for i in range(factors) %}
@group(0) @binding({{ 6 + i }}) var<storage, read_write> factor{{ i }}: array<f32>;
{% endfor %}

{% include "parts/refresh_due.wgsl" %}

{% include "parts/bits.wgsl" %}

var<workgroup> totals: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
    var total = 0.0;
    // A calibrating step does not count but is measured all the same; after an overflow its gradients mean nothing.
    let probe = ((control[CONTROL_FLAGS] & FLAG_CALIBRATES) != 0u) & (((status[STATUS_STOP] & STOP_OVERFLOW) == 0u) | (state[BOUND] == 0u));
    let wanted_now = refresh_due() & ((status[STATUS_STOP] == 0u) | probe);
    if wanted_now {
        for (var i = lane; i < p.planes; i += 64u) {
            total += parts[i];
        }
    }
    totals[lane] = total;
    for (var width = 32u; width > 0u; width >>= 1u) {
        workgroupBarrier();
        if lane < width {
            totals[lane] += totals[lane + width];
        }
    }
    if (lane > 0u) | !wanted_now {
        return;
    }
{% if factors %}
    // The mean square of what errors are multiplied by on the way.
    var square = 0.0;
    for (var c = 0u; c < p.factored; c++) {
        let factor = {% for i in range(factors) %}{{ "" if loop.first else " * " }}factor{{ i }}[c]{% endfor %};
        square += factor * factor;
    }
    let gain = sqrt(p.coverage * totals[0] / f32(p.channels)) * sqrt(square / f32(p.factored));
{% else %}
    let gain = sqrt(p.coverage * totals[0] / f32(p.channels));
{% endif %}
    let density = f32(state[NONZERO]) / f32(p.elements);
    let mean = over_weights[0] / f32(p.weights);
    // The mean of earlier gradients has noise of its own, over t steps.
    let steps = control[CONTROL_STEP] - status[STATUS_SKIPPED_STEPS];
    let t = f32(steps);
    let rise = (1.0 - p.decay) / (1.0 - pow(p.decay, t));
    let own = rise * rise * (1.0 - pow(p.decay, 2.0 * t)) / (1.0 - p.decay * p.decay);
    let noise = sqrt(mean / (1.0 + select(0.0, own, (steps > 0u) & (p.averaged == 1u))));
    let reference = select(mean, noise, p.of_noise == 1u);
    let sigma = p.fraction * reference;
    let wanted = sigma * sqrt(3.0 / density) / gain;
    let so_far = bitcast<f32>(state[CANDIDATE]);
    // A weight without gradient, or a value of zeros, asks for nothing.
    let asks = is_finite(wanted) & (wanted > 0.0);
    let none = p.first == 1u;
    if asks & (none | (so_far == 0.0) | (wanted < so_far)) {
        state[CANDIDATE] = bitcast<u32>(wanted);
        state[DENSITY] = bitcast<u32>(density);
        state[GAIN] = bitcast<u32>(gain);
        state[NOISE] = bitcast<u32>(reference);
    } else if none {
        state[CANDIDATE] = 0u;
    }
    if p.last == 1u {
        let candidate = bitcast<f32>(state[CANDIDATE]);
        if state[BOUND] == 0u {
            state[BOUND] = bitcast<u32>(bitcast<f32>(state[LARGEST]) / 8.0);
        } else if candidate > 0.0 {
            // Half the way, on a logarithmic scale: one step's gradients say little, above all in the beginning.
            let before = bitcast<f32>(state[BOUND]);
            state[BOUND] = bitcast<u32>(select(sqrt(before) * sqrt(candidate), candidate, (control[CONTROL_FLAGS] & FLAG_CALIBRATES) != 0u));
        }
    }
}
