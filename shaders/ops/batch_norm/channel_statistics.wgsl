// Combines the planes of each channel (Chan et al. 1979), shifted by the mean m₀ of its first plane:
//   mean = m₀ + Σ (plane mean − m₀) / samples
//   M₂ = Σ (plane M₂ + size · (plane mean − m₀)²) − size · samples · (mean − m₀)²
//   inv_std = 1 / √(M₂ / count + ε)
// However far the first plane's mean lies from the others, at most `samples` rounding errors are made.
// Variables and dispatch: see parts/sum_column.wgsl; rows are samples, columns channels.
struct Params {
    rows: u32,
    columns: u32,
    size: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> partial: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> inv_std: array<f32>;

{% include "parts/grid.wgsl" %}

alias Sum = vec2<f32>;

var<private> origin: f32;

fn begin(column: u32) {
    origin = partial[column].x;
}

fn term(row: u32, column: u32) -> Sum {
    let plane = partial[row * p.columns + column];
    let shifted = plane.x - origin;
    return Sum(shifted, plane.y + f32(p.size) * shifted * shifted);
}

fn finish(column: u32, sum: Sum) {
    let shift = sum.x / f32(p.rows);
    let variance = sum.y / (f32(p.rows) * f32(p.size)) - shift * shift;
    mean[column] = origin + shift;
    inv_std[column] = 1.0 / sqrt(max(variance, 0.0) + p.epsilon);
}

{% include "parts/sum_column.wgsl" %}
