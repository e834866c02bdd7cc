// As gradient.wgsl, for drivers that run on CPU cores and planes that do not become narrower: a row of dx is made in one walk
// along the rows of dy that read it. The shares of an output's gradient for its left and right neighbours stay in registers until the next element begins.
// Variables: bilinear, reach (at least as many rows of dy as read one of x). Dispatch: one invocation of 8 for each row of dx.
{% include "ops/upsample/params.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

{% include "parts/grid.wgsl" %}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group_index(group, groups) * 8u + lane;
    if row >= p.count / p.width {
        return;
    }
    let plane = (row / p.height) * p.out_height;
    let iy = row % p.height;
    let rows = readers(iy, p.height, p.out_height);
{% for r in range(reach) %}
    // Behind the last one the weight is 0 and the address that of the first.
    let oy{{ r }} = select(rows.x, rows.x + {{ r }}u, rows.x + {{ r }}u < rows.y);
    let weight{{ r }} = select(0.0, weight(iy, read(oy{{ r }}, p.height, p.out_height)), rows.x + {{ r }}u < rows.y);
    let at{{ r }} = (plane + oy{{ r }}) * p.out_width;
{% endfor %}
    let begin = row * p.width;
    var first = 0u;
    var left = 0.0;
    var right = 0.0;
    // Where the first element that an output reads is the next.
    let one = {{ "2u * p.out_width" if bilinear else "p.out_width" }};
    var limit = one;
    for (var ox = 0u; ox < p.out_width; ox++) {
        let position = {{ "position_of(ox, p.width, p.out_width)" if bilinear else "ox * p.width" }};
        if position >= limit {
            dx[begin + first] = left;
            limit += one;
            first++;
            left = right;
            right = 0.0;
        }
        var sum = 0.0;
{% for r in range(reach) %}
        sum += weight{{ r }} * dy[at{{ r }} + ox];
{% endfor %}
{% if bilinear %}
        let share = f32(position + one - limit) / f32(one);
        left += (1.0 - share) * sum;
        right += share * sum;
{% else %}
        left += sum;
{% endif %}
    }
    // Behind the last element there is none: it is the second as well.
    dx[begin + first] = left + right;
}
