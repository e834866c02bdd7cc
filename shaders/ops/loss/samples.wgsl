// For each sample: the mean of f(x, t) over its elements, and whether its prediction is correct. By `kind`, f is
//   squared   (x − t)²
//   absolute  |x − t|
//   binary    max(x, 0) − x·t + log(1 + e⁻|x|)
// With labels t is 1 at the label and 0 elsewhere, and a prediction is correct if no element is above the label's, or equal and
// before it; a label outside the classes gives a NaN, so that it cannot go unnoticed. Without labels nothing is correct.
// Variables: kind, labels, and those of parts/sum_plane.wgsl, where the dispatch is; a plane is a sample.
struct Params {
    planes: u32,
    size: u32,
    elements: u32,
}

{% include "parts/packet.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<Packet>;
@group(0) @binding(2) var<storage, read_write> targets: array<{{ "u32" if labels else "Packet" }}>;
@group(0) @binding(3) var<storage, read_write> each: array<vec2<f32>>;

{% include "parts/grid.wgsl" %}

{% if labels %}
var<private> start: u32;
var<private> label: u32;
var<private> own: f32;
{% endif %}

fn begin(sample: u32) {
{% if labels %}
    start = sample * p.size;
    label = targets[sample];
    let at = start + min(label, p.elements - 1u) / {{ "4u" if vector else "1u" }};
    own = x[at]{{ "[label % 4u]" if vector else "" }};
{% endif %}
}

fn term(index: u32) -> Terms {
    let v = x[index];
{% if labels %}
{% if vector %}
    let k = vec4(4u * (index - start)) + vec4(0u, 1u, 2u, 3u);
    let better = (v > vec4(own)) | ((v == vec4(own)) & (k < vec4(label)));
    let t = select(Packet(), Packet(1.0), k == vec4(label));
{% else %}
    let k = index - start;
    let better = (v > own) | ((v == own) & (k < label));
    let t = select(0.0, 1.0, k == label);
{% endif %}
    let count = select(Packet(), Packet(1.0), better);
{% else %}
    let t = targets[index];
    let count = Packet(1.0);
{% endif %}
{% if kind == "squared" %}
    return Terms((v - t) * (v - t), count);
{% elif kind == "absolute" %}
    return Terms(abs(v - t), count);
{% else %}
    return Terms(max(v, Packet()) - v * t + log(1.0 + exp(-abs(v))), count);
{% endif %}
}

fn finish(sample: u32, a: f32, b: f32) {
{% if labels %}
    if label >= p.elements {
        each[sample] = vec2(bitcast<f32>(0x7fc00000u | (label & 1u)), 0.0);
        return;
    }
{% endif %}
    each[sample] = vec2(a / f32(p.elements), select(0.0, 1.0, b == 0.0));
}

{% include "parts/sum_plane.wgsl" %}
