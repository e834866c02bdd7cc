{#-
Depthwise 2-D convolution: every output channel sees one input channel.  NCHW, f32.

transposed = false, the correlation:
  y[n,k,oy,ox] = sum over r,s of weight(k,r,s) * x[n, k/multiplier, oy*stride + r*dilation - pad_y, ox*stride + s*dilation - pad_x]
transposed = true, its adjoint in x, that is the input gradient of a convolution with this stride and these pads:
  y[n,k,oy,ox] = sum over r,s of weight(k,r,s) * x[n, k, (oy + pad_y - r*dilation)/stride, (ox + pad_x - s*dilation)/stride]
                 where both divisions are exact (x: the output gradient, y: the input gradient).
  weight(k,r,s) = w[k*R*S + t],  t = r*S + s;  flip = 1: t = R*S - 1 - that
The input gradient at stride 1 is also a correlation: transposed = false, pads = dilation*(kernel size - 1) - pad, flip = 1;
so one pipeline serves both directions.

An invocation walks down a strip of tile_width columns, tile_height rows at a time.  The input rows under the kernel stay in
registers while it walks, so each is loaded once; neighbours share nothing, so widths and lanes may be anything.  Next to each
other lie invocations with neighbouring strips of one plane.

Template variables
  kernel_width, kernel_height, stride, dilation, pad_y, pad_x: of the convolution that is computed or differentiated
  transposed: see above; needs pads <= dilation*(kernel size - 1), and tile sizes that are multiples of stride
  tile_width, tile_height: output pixels a step
  vec: 4 if w and ow are multiples of 4, tile_width too, and tile_width*stride (transposed: tile_width/stride) is; else 1
  workgroup: its size
  kind, add: if something follows, see parts/epilogue.wgsl
Bindings: 0 Params, 1 x, 2 w, 3 y, with `add` 4 bias
Dispatch: units = n*k * strips * tiles_x invocations with tiles_x = ceil(ow / tile_width), strips = ceil(oh / strip_rows),
  strip_rows a multiple of tile_height
-#}
{%- set TW, TH, KW, KH, S, D = tile_width, tile_height, kernel_width, kernel_height, stride, dilation -%}
{%- set reach_x, reach_y = (KW - 1) * D, (KH - 1) * D -%}
{#- A step needs XH rows of XW values that start `before` pixels before its origin, and goes on by `advance` rows. -#}
{%- if transposed -%}
{%- set before_x, before_y, advance = (reach_x - pad_x) // S, (reach_y - pad_y) // S, TH // S -%}
{%- set XW, XH = (TW - 1 + pad_x) // S + before_x + 1, (TH - 1 + pad_y) // S + before_y + 1 -%}
{%- else -%}
{%- set before_x, before_y, advance = pad_x, pad_y, TH * S -%}
{%- set XW, XH = (TW - 1) * S + reach_x + 1, (TH - 1) * S + reach_y + 1 -%}
{%- endif -%}
{%- set held = XH - advance if XH > advance else 0 -%}
{#- vec 4: a row starts at a multiple of 4, `skip` values earlier. -#}
{%- set lead = (before_x + vec - 1) // vec * vec -%}
{%- set skip = lead - before_x -%}
{%- set chunks = (skip + XW + vec - 1) // vec -%}
{%- set origin_x = "tx * " ~ ((TW // S if transposed else TW * S) // vec) ~ "u" -%}
{%- set origin_y = "oy / " ~ S ~ "u" if transposed else "oy * " ~ S ~ "u" -%}
{%- set value_type = "vec4<f32>" if vec == 4 else "f32" -%}
{%- macro load(i) -%}
{% for q in range(chunks) %}
    {{ "x" if i < held else "let x" }}{{i}}_{{q}} = select({{value_type}}(), x[select(0u, base + (row + {{i}}u) * row_length + at{{q}}, inside{{q}} & (row + {{i}}u < p.h))], inside{{q}} & (row + {{i}}u < p.h));
{% endfor %}
{%- endmacro -%}
struct Params {
  k: u32, multiplier: u32, h: u32, w: u32, oh: u32, ow: u32, tiles_x: u32, strips: u32, strip_rows: u32, units: u32, flip: u32,
{% if kind is defined %}
  low: f32,
  high: f32,
{% endif %}
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<{{value_type}}>;
@group(0) @binding(2) var<storage, read_write> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<{{value_type}}>;
{% set vector, last = vec == 4, 3 %}
{% include "parts/epilogue.wgsl" %}

{% include "parts/grid.wgsl" %}

@compute @workgroup_size({{workgroup}})
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let unit = group_index(wid, count) * {{workgroup}}u + lane;
  if (unit >= p.units) { return; }
  let tx = unit % p.tiles_x;
  let strip = unit / p.tiles_x % p.strips;
  let plane = unit / p.tiles_x / p.strips;
  let row_length = p.w{% if vec == 4 %} / 4u{% endif %};
  let out_length = p.ow{% if vec == 4 %} / 4u{% endif %};
  let base = plane / p.multiplier * p.h * row_length;
  let w_at = plane % p.k * {{KH * KW}}u;
{% for t in range(KH * KW) %}
  let w{{t}} = w[w_at + select({{t}}u, {{KH * KW - 1 - t}}u, p.flip == 1u)];
{% endfor %}
{% if kind is defined %}
  let shift = Packet(shift_of(plane % p.k));
{% endif %}
  // Which columns this strip reads, and whether they are inside.
{% for q in range(chunks) %}
  let col{{q}} = {{origin_x}} + {{q}}u - {{lead // vec}}u;
  let inside{{q}} = col{{q}} < row_length;
  let at{{q}} = select(0u, col{{q}}, inside{{q}});
{% endfor %}
  var oy = strip * p.strip_rows;
  let end = min(oy + p.strip_rows, p.oh);
  var row = {{origin_y}} - {{before_y}}u;
  var y_at = (plane * p.oh + oy) * out_length + tx * {{TW // vec}}u;
{% for i in range(held) %}{% for q in range(chunks) %}
  var x{{i}}_{{q}} = {{value_type}}();
{% endfor %}{% endfor %}
{% for i in range(held) %}
{{ load(i) }}
{% endfor %}
  for (; oy < end; oy += {{TH}}u) {
{% for i in range(held, XH) %}
{{ load(i) }}
{% endfor %}
{% for i in range(TH) %}{% for j in range(TW) %}
    var sum{{i}}_{{j}} = 0.0;
{% endfor %}{% endfor %}
{% for i in range(XH) %}{% for col in range(XW) %}
{% set from = skip + col %}
{% set part = "." ~ "xyzw"[from % 4] if vec == 4 else "" %}
{% for r in range(KH) %}{% for s in range(KW) %}
{% if transposed %}
{% set oi, oj, hit = (i - before_y) * S + r * D - pad_y, (col - before_x) * S + s * D - pad_x, true %}
{% else %}
{% set oi, oj = (i - r * D) // S, (col - s * D) // S %}
{% set hit = oi * S + r * D == i and oj * S + s * D == col %}
{% endif %}
{% if hit and oi >= 0 and oj >= 0 and oi < TH and oj < TW %}
    sum{{oi}}_{{oj}} = fma(x{{i}}_{{from // vec}}{{part}}, w{{r * KW + s}}, sum{{oi}}_{{oj}});
{% endif %}
{% endfor %}{% endfor %}
{% endfor %}{% endfor %}
{% for i in range(TH) %}
{% set written = ["epilogue(", ", shift)"] if kind is defined else ["", ""] %}
    let row_ok{{i}} = oy + {{i}}u < p.oh;
{% for j in range(TW // vec) %}
    if (row_ok{{i}} & (tx * {{TW // vec}}u + {{j}}u < out_length)) {
      y[y_at + {{i}}u * out_length + {{j}}u] = {{written[0]}}{% if vec == 4 %}vec4<f32>(sum{{i}}_{{j * 4}}, sum{{i}}_{{j * 4 + 1}}, sum{{i}}_{{j * 4 + 2}}, sum{{i}}_{{j * 4 + 3}}){% else %}sum{{i}}_{{j}}{% endif %}{{written[1]}};
    }
{% endfor %}
{% endfor %}
{% for i in range(held) %}{% for q in range(chunks) %}
    x{{i}}_{{q}} = x{{i + advance}}_{{q}};
{% endfor %}{% endfor %}
    row += {{advance}}u;
    y_at += {{TH}}u * out_length;
  }
}
