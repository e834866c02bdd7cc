// dx = dy · f′, element by element, from what was kept of y = f(x). By `kind`:
//   relu     dy where y > 0, else 0
//   leaky    dy where y > 0, else low · dy
//   clamp    dy where low < y < high, else 0
//   sigmoid  dy · y · (1 − y)
//   tanh     dy · (1 − y²)
//   gelu     dy · (Φ(x) + x · φ(x)), with the normal distribution Φ and its density φ
//   silu     dy · σ(x) · (1 + x · (1 − σ(x)))
// The first three read y as its values or, masked, as one bit per element. `again`: y again from x in the place of dy, on the
// side of the bounds that the mask tells; then clamp gives the nearer bound instead of 0.
// Variables: in_place (dx over dy), kind, masked, again. Dispatch: one invocation of 64 for each vector of four.
struct Params {
    count: u32,
    low: f32,
    high: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> kept: array<{{ "u32" if masked else "vec4<f32>" }}>;
{% if not in_place %}
@group(0) @binding(3) var<storage, read_write> dx: array<vec4<f32>>;
{% endif %}

{% include "parts/each.wgsl" %}

{% include "parts/activation.wgsl" %}

fn through(d: vec4<f32>, i: u32) -> vec4<f32> {
{% if kind in ["relu", "leaky", "clamp"] %}
{% if masked %}
    let bits = kept[i / 8u] >> (4u * (i % 8u));
    let open = (vec4(bits) & vec4(1u, 2u, 4u, 8u)) != vec4<u32>();
{% elif kind == "clamp" %}
    let open = (kept[i] > vec4(p.low)) & (kept[i] < vec4(p.high));
{% else %}
    let open = kept[i] > vec4<f32>();
{% endif %}
{% if kind == "leaky" %}
    return select(p.low * d, d, open);
{% elif kind == "clamp" and again %}
    return select(select(vec4(p.low), vec4(p.high), d > vec4(0.5 * (p.low + p.high))), d, open);
{% else %}
    return select(vec4<f32>(), d, open);
{% endif %}
{% else %}
    let k = kept[i];
{% if kind == "sigmoid" %}
    return d * k * (1.0 - k);
{% elif kind == "tanh" %}
    return d * (1.0 - k * k);
{% elif kind == "gelu" %}
    return d * (normal_share(k) + k * normal_density(k));
{% else %}
    let s = logistic(k);
    return d * s * (1.0 + k * (1.0 - s));
{% endif %}
{% endif %}
}

fn each(i: u32) {
    {{ "dy" if in_place else "dx" }}[i] = through(dy[i], i);
}
