// y = f(x), element by element, in place where x has no later reader; a NaN stays a NaN. By `kind`:
//   relu     x where x ≥ 0, else 0
//   leaky    x where x ≥ 0, else low · x
//   clamp    low where x < low, high where x > high, else x
//   sigmoid  σ(x)
//   tanh     tanh x
//   gelu     x · Φ(x), with the normal distribution Φ
//   silu     x · σ(x)
// Variables: in_place, kind. Dispatch: one invocation of 64 for each vector of four.
struct Params {
    count: u32,
    low: f32,
    high: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;
{% if not in_place %}
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
{% endif %}

{% include "parts/each.wgsl" %}

{% include "parts/activation.wgsl" %}

fn activated(v: vec4<f32>) -> vec4<f32> {
{% if kind == "relu" %}
    return select(v, vec4<f32>(), v < vec4<f32>());
{% elif kind == "leaky" %}
    return select(v, p.low * v, v < vec4<f32>());
{% elif kind == "clamp" %}
    return select(select(v, vec4(p.low), v < vec4(p.low)), vec4(p.high), v > vec4(p.high));
{% elif kind == "sigmoid" %}
    return logistic(v);
{% elif kind == "tanh" %}
    return hyperbolic_tangent(v);
{% elif kind == "gelu" %}
    return v * normal_share(v);
{% else %}
    return v * logistic(v);
{% endif %}
}

fn each(i: u32) {
    {{ "x" if in_place else "y" }}[i] = activated(x[i]);
}
