{# d · f′ for lane i, from what was saved of y = f(x). By `kind`:
     relu     dy where y > 0, else 0
     leaky    dy where y > 0, else low · dy
     clamp    dy where low < y < high, else 0
     sigmoid  dy · y · (1 − y)
     tanh     dy · (1 − y²)
     gelu     dy · (Φ(x) + x · φ(x)), with the normal distribution Φ and its density φ
     silu     dy · σ(x) · (1 + x · (1 − σ(x)))
   The first three read y as its values or, masked, as one bit per element. `recompute`: y again from x in the place of d, on
   the side of the bounds that the mask tells; then clamp gives the nearer bound instead of 0.
   The including kernel binds `kept` and has `low` and `high` in its Params. Variables: kind, masked, recompute, vector. -#}
{% if kind in ["sigmoid", "tanh", "gelu", "silu"] %}
{% include "parts/smooth.wgsl" %}

{% endif %}
fn activation_backward(d: Packet, i: u32) -> Packet {
{% if kind in ["relu", "leaky", "clamp"] %}
{% if masked and vector %}
    let bits = kept[i / 8u] >> (4u * (i % 8u));
    let open = (vec4(bits) & vec4(1u, 2u, 4u, 8u)) != vec4<u32>();
{% elif masked %}
    let open = ((kept[i / 32u] >> (i % 32u)) & 1u) != 0u;
{% elif kind == "clamp" %}
    let open = (kept[i] > Packet(p.low)) & (kept[i] < Packet(p.high));
{% else %}
    let open = kept[i] > Packet();
{% endif %}
{% if kind == "leaky" %}
    return select(p.low * d, d, open);
{% elif kind == "clamp" and recompute %}
    return select(select(Packet(p.low), Packet(p.high), d > Packet(0.5 * (p.low + p.high))), d, open);
{% else %}
    return select(Packet(), d, open);
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
