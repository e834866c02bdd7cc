// total = Σ sums, in fixed order; with `adds` plus that of earlier ones.
// Variables: adds. Dispatch: one workgroup of 64.
struct Params {
    chunks: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> total: array<f32>;
{% if adds %}
@group(0) @binding(3) var<storage, read_write> before: array<f32>;
{% endif %}

var<workgroup> lanes: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var i = lane; i < p.chunks; i += 64u) {
        sum += sums[i];
    }
    lanes[lane] = sum;
    for (var width = 32u; width > 0u; width >>= 1u) {
        workgroupBarrier();
        if lane < width {
            lanes[lane] += lanes[lane + width];
        }
    }
    if lane == 0u {
        total[0] = lanes[0]{{ " + before[0]" if adds else "" }};
    }
}
