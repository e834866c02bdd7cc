// factor = 1 / samples, if gradients are sums over samples, else 1; over the loss scale, if they are scaled; with `clips` times min(1, limit / (norm + 1e-6)), the norm that
// of the gradients with that factor. A norm that is not finite gives a NaN rather than zeros.
// Variables: clips, summed, scaled. Dispatch: one workgroup of 1.
struct Params {
    limit: f32,
    // 1: the samples that are divided by where none counted, or where gradients are no sums.
    least: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> factor: array<f32>;
{% if clips %}
@group(0) @binding(2) var<storage, read_write> squares: array<f32>;
{% endif %}
{% if summed %}
@group(0) @binding({{ 3 if clips else 2 }}) var<storage, read_write> samples: array<f32>;
{% endif %}
{% if scaled %}
@group(0) @binding({{ 2 + (1 if clips else 0) + (1 if summed else 0) }}) var<storage, read_write> loss_scale: array<f32>;
{% endif %}

@compute @workgroup_size(1)
fn main() {
    var scale = 1.0 / {{ "max(samples[0], p.least)" if summed else "p.least" }};
{% if scaled %}
    scale /= loss_scale[0];
{% endif %}
{% if clips %}
    let norm = scale * sqrt(squares[0]);
    scale *= select(1.0, p.limit / (norm + 1e-6), norm > p.limit) + (norm - norm);
{% endif %}
    factor[0] = scale;
}
