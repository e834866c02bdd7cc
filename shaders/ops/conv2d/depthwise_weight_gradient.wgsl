{#-
Weight gradient of a depthwise 2-D convolution.  NCHW, f32, no bias.

  dw[k,r,s] = sum over n,oy,ox of dy[n,k,oy,ox] * x[n, k/multiplier, oy*stride + r*dilation - pad_y, ox*stride + s*dilation - pad_x]

The sum runs over units = batch * strips * tiles_x strips of tile_width columns and strip_rows rows of dy, which one invocation
walks down with the rows of x under the kernel in registers.  It is cut into splits of units_per_split consecutive strips;
split q writes its share to partial[q][k][r][s], and sum_parts.wgsl adds the shares in order (with one split `partial` is dw
itself).  No atomics: the same bits on every run.

tiles = true: a workgroup serves one channel of one split, its invocations take the strips in turn and add up what they found
in workgroup memory.  tiles = false: an invocation does, next to each other lie channels.

Template variables
  kernel_width, kernel_height, stride, dilation, pad_y, pad_x: of the convolution
  tile_width: output pixels a step;  vec: 4 if w, ow, tile_width and tile_width*stride are multiples of 4; else 1
  tiles: see above;  workgroup: its size
  adds: if it is set, shares are added to what `partial` holds
Bindings: 0 Params, 1 x, 2 dy, 3 partial
Dispatch: splits * k workgroups, or as many invocations
-#}
{%- set TW, KW, KH, S, D = tile_width, kernel_width, kernel_height, stride, dilation -%}
{%- set taps = KH * KW -%}
{%- set XW, XH = (TW - 1) * S + (KW - 1) * D + 1, (KH - 1) * D + 1 -%}
{%- set held = XH - S if XH > S else 0 -%}
{%- set lead = (pad_x + vec - 1) // vec * vec -%}
{%- set skip = lead - pad_x -%}
{%- set chunks = (skip + XW + vec - 1) // vec -%}
{%- set value_type = "vec4<f32>" if vec == 4 else "f32" -%}
{%- macro load(i) -%}
{% for q in range(chunks) %}
      {{ "x" if i < held else "let x" }}{{i}}_{{q}} = select({{value_type}}(), x[select(0u, base + (row + {{i}}u) * row_length + at{{q}}, inside{{q}} & (row + {{i}}u < p.h))], inside{{q}} & (row + {{i}}u < p.h));
{% endfor %}
{%- endmacro -%}
struct Params {
  k: u32, multiplier: u32, h: u32, w: u32, oh: u32, ow: u32, tiles_x: u32, strips: u32, strip_rows: u32,
  units: u32, units_per_split: u32, shares: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<{{value_type}}>;
@group(0) @binding(2) var<storage, read_write> dy: array<{{value_type}}>;
@group(0) @binding(3) var<storage, read_write> partial: array<f32>;

{% include "parts/grid.wgsl" %}
{% if tiles %}

var<workgroup> sums: array<f32, {{workgroup * taps}}>;
{% endif %}

@compute @workgroup_size({{workgroup}})
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
{% if tiles %}
  // Workgroups beyond the last have no strips, and come to the barriers all the same.
  let share = group_index(wid, count);
{% else %}
  let share = group_index(wid, count) * {{workgroup}}u + lane;
  if (share >= p.shares) { return; }
{% endif %}
  let k = share % p.k;
  let split = share / p.k;
  let row_length = p.w{% if vec == 4 %} / 4u{% endif %};
  let out_length = p.ow{% if vec == 4 %} / 4u{% endif %};
{% for t in range(taps) %}
  var total{{t}} = 0.0;
{% endfor %}
  let last = min((split + 1u) * p.units_per_split, p.units);
  for (var unit = split * p.units_per_split{% if tiles %} + lane{% endif %}; unit < last; unit += {{workgroup if tiles else 1}}u) {
    let tx = unit % p.tiles_x;
    let strip = unit / p.tiles_x % p.strips;
    let plane = unit / p.tiles_x / p.strips * p.k + k;
    let base = plane / p.multiplier * p.h * row_length;
{% for q in range(chunks) %}
    let col{{q}} = tx * {{TW * S // vec}}u + {{q}}u - {{lead // vec}}u;
    let inside{{q}} = col{{q}} < row_length;
    let at{{q}} = select(0u, col{{q}}, inside{{q}});
{% endfor %}
{% for j in range(TW // vec) %}
    let live{{j}} = tx * {{TW // vec}}u + {{j}}u < out_length;
{% endfor %}
    var oy = strip * p.strip_rows;
    let end = min(oy + p.strip_rows, p.oh);
    var row = oy * {{S}}u - {{pad_y}}u;
    var dy_at = (plane * p.oh + oy) * out_length + tx * {{TW // vec}}u;
{% for t in range(taps) %}
    var sum{{t}} = 0.0;
{% endfor %}
{% for i in range(held) %}{% for q in range(chunks) %}
    var x{{i}}_{{q}} = {{value_type}}();
{% endfor %}{% endfor %}
{% for i in range(held) %}
{{ load(i) }}
{% endfor %}
    for (; oy < end; oy++) {
{% for i in range(held, XH) %}
{{ load(i) }}
{% endfor %}
{% for j in range(TW // vec) %}
      let dy{{j}} = select({{value_type}}(), dy[select(0u, dy_at + {{j}}u, live{{j}})], live{{j}});
{% endfor %}
{% for j in range(TW) %}
{% for r in range(KH) %}{% for s in range(KW) %}
{% set from = skip + j * S + s * D %}
      sum{{r * KW + s}} = fma(x{{r * D}}_{{from // vec}}{{"." ~ "xyzw"[from % 4] if vec == 4 else ""}}, dy{{j // vec}}{{"." ~ "xyzw"[j % 4] if vec == 4 else ""}}, sum{{r * KW + s}});
{% endfor %}{% endfor %}
{% endfor %}
{% for i in range(held) %}{% for q in range(chunks) %}
      x{{i}}_{{q}} = x{{i + S}}_{{q}};
{% endfor %}{% endfor %}
      row += {{S}}u;
      dy_at += out_length;
    }
{% for t in range(taps) %}
    total{{t}} += sum{{t}};
{% endfor %}
  }
{% if tiles %}
{% for t in range(taps) %}
  sums[{{t * workgroup}}u + lane] = total{{t}};
{% endfor %}
  for (var width = {{workgroup // 2}}u; width > 0u; width >>= 1u) {
    workgroupBarrier();
    if (lane < width) {
{% for t in range(taps) %}
      sums[{{t * workgroup}}u + lane] += sums[{{t * workgroup}}u + lane + width];
{% endfor %}
    }
  }
  workgroupBarrier();
  for (var t = lane; t < {{taps}}u; t += {{workgroup}}u) {
    if (share < p.shares) { partial[share * {{taps}}u + t] = {{ "partial[share * " ~ taps ~ "u + t] + " if adds is defined }}sums[t * {{workgroup}}u]; }
  }
{% else %}
{% for t in range(taps) %}
  partial[share * {{taps}}u + {{t}}u] = {{ "partial[share * " ~ taps ~ "u + " ~ t ~ "u] + " if adds is defined }}total{{t}};
{% endfor %}
{% endif %}
}
