// Combines the planes of each channel (Chan et al. 1979), in order of the samples:
//   mean = Σ plane mean / samples;   M₂ = Σ plane M₂ + size · Σ (plane mean − mean)²
//   inv_std = 1 / √(M₂ / count + ε)
// Dispatch: one invocation of 8 for each channel.
struct Params {
    samples: u32,
    channels: u32,
    size: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> partial: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> inv_std: array<f32>;

{% include "parts/grid.wgsl" %}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let c = group_index(group, groups) * 8u + lane;
    if c >= p.channels {
        return;
    }
    var total = 0.0;
    for (var n = 0u; n < p.samples; n++) {
        total += partial[n * p.channels + c].x;
    }
    let center = total / f32(p.samples);
    var squares = 0.0;
    for (var n = 0u; n < p.samples; n++) {
        let plane = partial[n * p.channels + c];
        squares += plane.y + f32(p.size) * (plane.x - center) * (plane.x - center);
    }
    let count = f32(p.samples) * f32(p.size);
    mean[c] = center;
    inv_std[c] = 1.0 / sqrt(squares / count + p.epsilon);
}
