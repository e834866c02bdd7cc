{#-
Direct 2-D convolution in registers, for adapters that run shaders on the CPU (lavapipe).  NCHW, f32.

transposed = false, the correlation:
  y[n,k,oy,ox] = sum over c,r,s of weight(k,c,r,s) * x[n, c, oy*stride + r*dilation - pad, ox*stride + s*dilation - pad]
transposed = true, its adjoint in x, that is the input gradient of a convolution with this stride and pad:
  y[n,k,oy,ox] = sum over c,r,s of weight(k,c,r,s) * x[n, c, (oy + pad - r*dilation)/stride, (ox + pad - s*dilation)/stride]
                 where both divisions are exact (x: the output gradient, y: the input gradient).
  weight(k,c,r,s) = w[k*w_lane + c*w_loop + t],  t = r*kernel_width + s;  flip = 1: t = R*S - 1 - that
Forward:        x = input,           c,h,w = input's,  k,oh,ow = output's, w_lane = C*R*S, w_loop = R*S.
Input gradient: x = output gradient, c,h,w = output's, k,oh,ow = input's,  w_lane = R*S,   w_loop = C*R*S
(C: the input's channels).  The input gradient at stride 1 is also a correlation: transposed = false, flip = 1,
pad = dilation*(kernel size - 1) - pad.

With groups (`grouped` is set) everything is said of one of `members` convolutions that lie side by side in all three arrays.

The lanes of a workgroup of one subgroup are `lanes` consecutive output channels (times channel_blocks); every lane keeps
tile_height x tile_width output pixels in registers.  The input tile of one channel is loaded once by all lanes together
and handed out by subgroupBroadcast, so a loaded value serves kernel area x lanes multiply-adds.

Template variables
  kernel_width, kernel_height, stride, dilation, pad: of the convolution that is computed or differentiated
  transposed: see above; needs pad <= dilation*(kernel size - 1), and tile sizes that are multiples of stride
  tile_width, tile_height: output pixels a lane; channel_blocks: output channels a lane
  width, height: the input's, if one tile is as wide or as high as the output, else 0: what lies beyond is then neither loaded
    nor multiplied
  depth: input channels a turn of the loop, a divisor of c; more than 1 only with a single tap
  even: whether the tiles cover the output and nothing else
  weight_vec: 4 to load weights as vec4, for which there must be a multiple of 4 of them in all; else 1.  With a single tap it
    runs over input channels (w_loop = 1, depth = 4) or
  adjacent: over output channels: those of a lane are side by side (w_lane = 1, k a multiple of channel_blocks = 4)
  vec: 4 if w and ow are multiples of 4, tile_width too, and tile_width*stride (transposed: tile_width/stride) is; else 1
  lanes: the workgroup's size = the subgroup size (8 on lavapipe);  subgroups: false to do without subgroup operations
  kind, add: if something follows, see parts/epilogue.wgsl
Bindings: 0 Params, 1 x, 2 w, 3 y, with `add` 4 bias
Dispatch: groups = batch * tiles_y * tiles_x * members * k_blocks workgroups with tiles_x = ceil(ow / tile_width), tiles_y =
  ceil(oh / tile_height), k_blocks = ceil(k / (lanes * channel_blocks)); folded as group = wid.x + wid.y * num_workgroups.x
-#}
{%- set TW, TH, KW, KH, S, D, LANES = tile_width, tile_height, kernel_width, kernel_height, stride, dilation, lanes -%}
{%- set reach_x, reach_y = (KW - 1) * D, (KH - 1) * D -%}
{#- The input tile starts `before` pixels before the tile's origin and holds XH x XW values, `step` pixels apart. -#}
{%- set step = S if KW == 1 and KH == 1 and not transposed else 1 -%}
{%- if transposed -%}
{%- set before_x, before_y = (reach_x - pad) // S, (reach_y - pad) // S -%}
{%- set XW, XH = (TW - 1 + pad) // S + before_x + 1, (TH - 1 + pad) // S + before_y + 1 -%}
{%- else -%}
{%- set before_x, before_y = pad, pad -%}
{%- set XW, XH = ((TW - 1) * S + reach_x) // step + 1, ((TH - 1) * S + reach_y) // step + 1 -%}
{%- endif -%}
{#- Rows are loaded from `above` before the tile's origin on, columns from `lead` before it: where an extent is known, only
   those that are there. vec 4: a row starts at a multiple of 4, and step is done while reading. -#}
{%- set above = 0 if height else before_y -%}
{%- set rows = [XH - before_y + above, (height + step - 1) // step]|min if height else XH -%}
{%- if vec == 4 -%}
{%- set lead = 0 if width else (before_x + 3) // 4 * 4 -%}
{%- set skip = lead - before_x -%}
{%- set chunks = (skip + (XW - 1) * step + 1 + 3) // 4 -%}
{%- set chunks = [chunks, width // 4]|min if width else chunks -%}
{%- else -%}
{%- set lead = 0 if width else before_x -%}
{%- set skip = lead - before_x -%}
{%- set chunks = [XW + skip, (width + step - 1) // step]|min if width else XW -%}
{%- endif -%}
{%- set values = depth * rows * chunks -%}
{%- set loads = (values + LANES - 1) // LANES if subgroups else values -%}
{%- set may_flip = KH * KW > 1 and S == 1 and not transposed -%}
{#- The weights of a channel lie in so many vec4, at whatever place they start in the first. -#}
{%- set weight_loads = (KH * KW + 6) // 4 -%}
{%- set origin_x = "tx * " ~ (TW // S if transposed else TW * S) ~ "u" -%}
{%- set origin_y = "ty * " ~ (TH // S if transposed else TH * S) ~ "u" -%}
{%- set value_type = "vec4<f32>" if vec == 4 else "f32" -%}
struct Params {
  batch: u32, c: u32, h: u32, w: u32, k: u32, oh: u32, ow: u32,
  tiles_x: u32, tiles_y: u32, k_blocks: u32, w_lane: u32, w_loop: u32, flip: u32, groups: u32,
{% if grouped is defined %}
  members: u32,
{% endif %}
{% if kind is defined %}
  low: f32,
  high: f32,
{% endif %}
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<{{value_type}}>;
@group(0) @binding(2) var<storage, read_write> w: array<{{"vec4<f32>" if weight_vec == 4 else "f32"}}>;
@group(0) @binding(3) var<storage, read_write> y: array<{{value_type}}>;
{% set vector, last = vec == 4, 3 %}
{% include "parts/epilogue.wgsl" %}

@compute @workgroup_size({{LANES}})
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
        @builtin({{"subgroup_invocation_id" if subgroups else "local_invocation_index"}}) lane: u32) {
  let group = wid.x + wid.y * count.x;
  if (group >= p.groups) { return; }
  let kb = group % p.k_blocks;
{% if grouped is defined %}
  let member = group / p.k_blocks % p.members;
  let tile = group / p.k_blocks / p.members;
{% else %}
  let tile = group / p.k_blocks;
{% endif %}
  let tx = tile % p.tiles_x;
  let ty = tile / p.tiles_x % p.tiles_y;
  let n = tile / p.tiles_x / p.tiles_y{% if grouped is defined %} * p.members + member{% endif %};
  let plane = p.h * p.w{% if vec == 4 %} / 4u{% endif %};
  let row_length = p.w{% if vec == 4 %} / 4u{% endif %};
  // Where in a plane this lane reads, and whether that is inside.
{% for j in range(loads) %}
  let v{{j}} = {% if subgroups %}{{j * LANES}}u + lane{% else %}{{j}}u{% endif %};
  let row{{j}} = {{origin_y}} + {{step}}u * (v{{j}} / {{chunks}}u{% if depth > 1 %} % {{rows}}u{% endif %}) - {{above}}u;
  let col{{j}} = {% if vec == 4 %}{{origin_x}} / 4u - {{lead // 4}}u{% else %}{{origin_x}} - {{lead}}u{% endif %} + {{1 if vec == 4 else step}}u * (v{{j}} % {{chunks}}u);
  let inside{{j}} = (row{{j}} < p.h) & (col{{j}} < row_length){% if depth > 1 %} & (v{{j}} < {{values}}u){% endif %};
  let at{{j}} = select(0u, {% if depth > 1 %}v{{j}} / {{rows * chunks}}u * plane + {% endif %}row{{j}} * row_length + col{{j}}, inside{{j}});
{% endfor %}
{% for b in range(channel_blocks) %}
  let k{{b}} = {% if adjacent %}(kb * {{LANES}}u + lane) * {{channel_blocks}}u + {{b}}u{% else %}(kb * {{channel_blocks}}u + {{b}}u) * {{LANES}}u + lane{% endif %};
  var w_at{{b}} = min(k{{b}}, p.k - 1u) * p.w_lane{% if grouped is defined %} + member * p.c * p.k * {{KH * KW}}u{% endif %};
{% for i in range(TH) %}{% for j in range(TW) %}
  var sum{{b}}_{{i}}_{{j}} = 0.0;
{% endfor %}{% endfor %}
{% endfor %}
{% if may_flip %}
  let flip = p.flip != 0u;
{% endif %}
  var base = n * p.c * plane;
  for (var c = 0u; c < p.c; c += {{depth}}u) {
{% for j in range(loads) %}
    let x{{j}} = select({{value_type}}(0.0), x[base + at{{j}}], inside{{j}});
{% endfor %}
{% if adjacent %}
{% for d in range(depth) %}
    let f{{d}} = w[(w_at0 + {{d}}u * p.w_loop) / 4u];
{% for b in range(channel_blocks) %}
    let w{{b}}_{{d}} = f{{d}}.{{"xyzw"[b]}};
{% endfor %}
{% endfor %}
{% endif %}
{% for b in range(channel_blocks) if not adjacent %}
{% if depth == 4 and weight_vec == 4 %}
    let f{{b}} = w[w_at{{b}} / 4u];
{% for d in range(depth) %}
    let w{{b}}_{{d}} = f{{b}}.{{"xyzw"[d]}};
{% endfor %}
{% elif depth > 1 %}
{% for d in range(depth) %}
    let w{{b}}_{{d}} = w[w_at{{b}} + {{d}}u * p.w_loop];
{% endfor %}
{% elif weight_vec == 4 %}
{% for j in range(weight_loads) %}
    let f{{b}}_{{j}} = w[w_at{{b}} / 4u + {{j}}u];
{% endfor %}
{# Shifts them by the two bits of the place where they start. -#}
    let by_two{{b}} = (w_at{{b}} & 2u) != 0u;
    let by_one{{b}} = (w_at{{b}} & 1u) != 0u;
{% for t in range(KH * KW + 1) %}
    let g{{b}}_{{t}} = select(f{{b}}_{{t // 4}}.{{"xyzw"[t % 4]}}, f{{b}}_{{(t + 2) // 4}}.{{"xyzw"[(t + 2) % 4]}}, by_two{{b}});
{% endfor %}
{% for t in range(KH * KW) %}
    let h{{b}}_{{t}} = select(g{{b}}_{{t}}, g{{b}}_{{t + 1}}, by_one{{b}});
{% endfor %}
{% else %}
{% for t in range(KH * KW) %}
    let h{{b}}_{{t}} = w[w_at{{b}} + {{t}}u];
{% endfor %}
{% endif %}
{% if depth == 1 %}
{% for t in range(KH * KW) %}
    let w{{b}}_{{t}} = {% if may_flip %}select(h{{b}}_{{t}}, h{{b}}_{{KH * KW - 1 - t}}, flip){% else %}h{{b}}_{{t}}{% endif %};
{% endfor %}
{% endif %}
{% endfor %}
{% set sums = steps() %}
{# A block at a time: the weights of one fit into registers, those of two do not. -#}
{% for d in range(depth) %}{% for b in range(channel_blocks) %}
{% for row in range(XH) %}{% for col in range(XW) %}
{% set from = skip + col * (step if vec == 4 else 1) %}
{% set down, across = row + above - before_y, from // vec %}
{% if 0 <= down and down < rows and 0 <= across and across < chunks %}
{% if b == 0 %}
{% set v = (d * rows + down) * chunks + across %}
{% set part = "." ~ "xyzw"[from % 4] if vec == 4 else "" %}
{% if subgroups %}
    let b{{d}}_{{row}}_{{col}} = subgroupBroadcast(x{{v // LANES}}{{part}}, {{v % LANES}}u);
{% else %}
    let b{{d}}_{{row}}_{{col}} = x{{v}}{{part}};
{% endif %}
{% endif %}
{% for r in range(KH) %}{% for s in range(KW) %}
{% if transposed %}
{% set i, j, hit = (row - before_y) * S + r * D - pad, (col - before_x) * S + s * D - pad, true %}
{% else %}
{% set i, j = (row * step - r * D) // S, (col * step - s * D) // S %}
{% set hit = i * S + r * D == row * step and j * S + s * D == col * step %}
{% endif %}
{% if hit and i >= 0 and j >= 0 and i < TH and j < TW %}
{% set sum = "sum" ~ b ~ "_" ~ i ~ "_" ~ j %}
{% set before = sums.now(sum) %}
    let {{sums.next(sum)}} = fma(b{{d}}_{{row}}_{{col}}, w{{b}}_{{d if depth > 1 else r * KW + s}}, {{before}});
{% endif %}
{% endfor %}{% endfor %}
{% endif %}
{% endfor %}{% endfor %}
{% endfor %}{% endfor %}
{% for sum, newest in sums.all() %}
    {{sum}} = {{newest}};
{% endfor %}
    base += {% if depth > 1 %}{{depth}}u * {% endif %}plane;
{% for b in range(channel_blocks) %}
    w_at{{b}} += {% if depth > 1 %}{{depth}}u * {% endif %}p.w_loop;
{% endfor %}
  }
{% for b in range(channel_blocks) %}
{% set written = ["epilogue(", ", shift" ~ b ~ ")"] if kind is defined else ["", ""] %}
  let y_at{{b}} = ((n * p.k + k{{b}}) * p.oh + ty * {{TH}}u) * p.ow + tx * {{TW}}u;
{% if kind is defined %}
  let shift{{b}} = Packet(shift_of({% if grouped is defined %}member * p.k + {% endif %}min(k{{b}}, p.k - 1u)));
{% endif %}
{% for i in range(TH) %}
{% if even %}
  if (k{{b}} < p.k) {
{% else %}
  let row_ok{{b}}_{{i}} = (k{{b}} < p.k) & (ty * {{TH}}u + {{i}}u < p.oh);
{% endif %}
{% for j in range(TW // vec) %}
{% set value = "sum" ~ b ~ "_" ~ i ~ "_" %}
  {% if not even %}if (row_ok{{b}}_{{i}} & (tx * {{TW}}u + {{j * vec}}u < p.ow)) { {% endif %}
{% if vec == 4 %}
y[(y_at{{b}} + {{i}}u * p.ow) / 4u + {{j}}u] = {{written[0]}}vec4<f32>({{value}}{{j * 4}}, {{value}}{{j * 4 + 1}}, {{value}}{{j * 4 + 2}}, {{value}}{{j * 4 + 3}}){{written[1]}};
{%- else %}
y[y_at{{b}} + {{i}}u * p.ow + {{j}}u] = {{written[0]}}{{value}}{{j}}{{written[1]}};
{%- endif %}
{% if not even %} }{% endif %}

{% endfor %}
{% if even %}
  }
{% endif %}
{% endfor %}
{% endfor %}
}
