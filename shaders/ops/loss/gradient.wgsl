// d = mask[n] / (counted · elements) · f′(x, t) for each element of sample n. By `kind`, f′ is
//   squared   2 · (x − t)
//   absolute  the sign of x − t
//   binary    σ(x) − t
// With labels t is 1 at the label and 0 elsewhere.
// Variables: kind, labels, seeded (all of it times seed[0], the output gradient), in_place (never), and those of parts/map_plane.wgsl, where the dispatch is; a channel is a sample.
struct Params {
    planes: u32,
    size: u32,
    channels: u32,
    run: u32,
    elements: u32,
}

{% include "parts/packet.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<Packet>;
@group(0) @binding(2) var<storage, read_write> targets: array<{{ "u32" if labels else "Packet" }}>;
@group(0) @binding(3) var<storage, read_write> mask: array<f32>;
@group(0) @binding(4) var<storage, read_write> loss: array<vec4<f32>>;
{% if seeded %}
@group(0) @binding(5) var<storage, read_write> seed: array<f32>;
{% endif %}
@group(0) @binding({{ 6 if seeded else 5 }}) var<storage, read_write> d: array<Packet>;

{% include "parts/grid.wgsl" %}

struct Channel {
    weight: f32,
    // Number of the first lane, and the label.
    start: u32,
    label: u32,
}

fn channel_of(sample: u32) -> Channel {
    let weight = select(0.0, {{ "seed[0]" if seeded else "1.0" }}, mask[sample] != 0.0) / (max(loss[0].z, 1.0) * f32(p.elements));
    return Channel(weight, sample * p.size, {{ "targets[sample]" if labels else "0u" }});
}

fn visit(c: Channel, index: u32) {
    let v = x[index];
{% if labels and vector %}
    let k = vec4(4u * (index - c.start)) + vec4(0u, 1u, 2u, 3u);
    let t = select(Packet(), Packet(1.0), k == vec4(c.label));
{% elif labels %}
    let t = select(0.0, 1.0, index - c.start == c.label);
{% else %}
    let t = targets[index];
{% endif %}
{% if kind == "squared" %}
    let slope = 2.0 * (v - t);
{% elif kind == "absolute" %}
    let slope = sign(v - t);
{% else %}
    let e = exp(-abs(v));
    let slope = select(Packet(1.0), Packet() + e, v < Packet()) / (1.0 + e) - t;
{% endif %}
    d[index] = c.weight * slope;
}

{% include "parts/map_plane.wgsl" %}
