// y = max(x, 0) where y was above zero, else at most 0; a NaN stays a NaN. x may be a little off what it was, so the bits
// of y decide: x > 0 where y was not becomes 0. y comes as its values or, masked, as one bit per element.
// Variables: in_place (y over x), masked. Dispatch: one invocation of 64 for each vector of four.
struct Params {
    vectors: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<{{ "u32" if masked else "vec4<f32>" }}>;
{% if not in_place %}
@group(0) @binding(3) var<storage, read_write> again: array<vec4<f32>>;
{% endif %}

{% include "parts/grid.wgsl" %}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * 64u + lane;
    if i < p.vectors {
{% if masked %}
        let bits = y[i / 8u] >> (4u * (i % 8u));
        let open = (vec4(bits) & vec4(1u, 2u, 4u, 8u)) != vec4<u32>();
{% else %}
        let open = y[i] > vec4<f32>();
{% endif %}
        let v = x[i];
        let closed = (v < vec4<f32>()) | ((v > vec4<f32>()) & !open);
        {{ "x" if in_place else "again" }}[i] = select(v, vec4<f32>(), closed);
    }
}
