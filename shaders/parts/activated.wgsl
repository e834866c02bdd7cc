{# f(v) for a lane; a NaN stays a NaN. By `kind`:
     relu     x where x ≥ 0, else 0
     leaky    x where x ≥ 0, else low · x
     clamp    low where x < low, high where x > high, else x
     sigmoid  σ(x)
     tanh     tanh x
     gelu     x · Φ(x), with the normal distribution Φ
     silu     x · σ(x)
   The including kernel has `low` and `high` in its Params. Variables: kind, vector. -#}
{% if kind in ["sigmoid", "tanh", "gelu", "silu"] %}
{% include "parts/smooth.wgsl" %}

{% endif %}
fn activated(v: Packet) -> Packet {
{% if kind == "relu" %}
    return select(v, Packet(), v < Packet());
{% elif kind == "leaky" %}
    return select(v, p.low * v, v < Packet());
{% elif kind == "clamp" %}
    return select(select(v, Packet(p.low), v < Packet(p.low)), Packet(p.high), v > Packet(p.high));
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
