{# Two sums over each plane (the elements of one sample and channel), in fixed order.

   The including kernel has `planes` and `size` (in lanes) first in its Params, and defines
     fn begin(plane: u32)                         loads what all terms of a plane need, into private variables
     fn term(index: u32) -> Terms                 what lane `index` of all lanes adds to each sum
     fn finish(plane: u32, a: f32, b: f32)        where the sums go
     fn wanted() -> bool                          gated only: whether there is anything to do
   Variables: vector, tiles, gated (if it is set). With tiles one workgroup of 64 serves a plane (dispatch: planes workgroups), without one
   invocation does (dispatch: planes / 8 workgroups of 8). Sums of 64 terms are added up first, which keeps rounding
   errors of large planes small. -#}
struct Terms {
    a: Packet,
    b: Packet,
}

{% if tiles %}
var<workgroup> sums: array<vec2<f32>, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let plane = group_index(group, groups);
    let size = {{ "select(0u, p.size, wanted())" if gated is defined else "p.size" }};
    var a = Packet();
    var b = Packet();
    if plane < p.planes {
        begin(plane);
        for (var i = lane; i < size; i += 64u) {
            let t = term(plane * p.size + i);
            a += t.a;
            b += t.b;
        }
    }
    sums[lane] = vec2(across(a), across(b));
    for (var width = 32u; width > 0u; width >>= 1u) {
        workgroupBarrier();
        if lane < width {
            sums[lane] += sums[lane + width];
        }
    }
    if lane == 0u && plane < p.planes {
        finish(plane, sums[0].x, sums[0].y);
    }
}
{% else %}
@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let plane = group_index(group, groups) * 8u + lane;
    if plane >= p.planes {
        return;
    }
    begin(plane);
    let size = {{ "select(0u, p.size, wanted())" if gated is defined else "p.size" }};
    var a = Packet();
    var b = Packet();
    for (var start = 0u; start < size; start += 64u) {
        var part_a = Packet();
        var part_b = Packet();
        let stop = plane * p.size + min(start + 64u, p.size);
        var i = plane * p.size + start;
        // Several loads in flight at a time.
        for (; i + 3u < stop; i += 4u) {
            let t0 = term(i);
            let t1 = term(i + 1u);
            let t2 = term(i + 2u);
            let t3 = term(i + 3u);
            part_a += (t0.a + t1.a) + (t2.a + t3.a);
            part_b += (t0.b + t1.b) + (t2.b + t3.b);
        }
        for (; i < stop; i++) {
            let t = term(i);
            part_a += t.a;
            part_b += t.b;
        }
        a += part_a;
        b += part_b;
    }
    finish(plane, across(a), across(b));
}
{% endif %}
