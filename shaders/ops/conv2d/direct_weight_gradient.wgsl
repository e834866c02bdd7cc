{#-
Weight gradient of a 2-D convolution in registers, for adapters that run shaders on the CPU (lavapipe).  NCHW, f32.

  dw[k,c,r,s] = sum over n,oy,ox of dy[n,k,oy,ox] * x[n, c, oy*stride + r*dilation - pad, ox*stride + s*dilation - pad]

The sum runs over units = batch * tiles_y * tiles_x tiles of tile_height x tile_width output pixels.  It is cut into
splits of units_per_split consecutive tiles; split q writes its share to partial[q][k][c][r][s], and sum_parts.wgsl adds
the shares in order (with one split `partial` is dw itself).  No atomics: the same bits on every run.

With groups (`grouped` is set) everything is said of one of `members` convolutions that lie side by side in all three arrays.

The lanes of a workgroup of one subgroup are `lanes` consecutive output channels (times out_blocks); every lane keeps
the kernel area of in_channels input channels in registers.  The input tile of one channel is loaded once by all lanes
together and handed out by subgroupBroadcast.

Template variables
  kernel_width, kernel_height, stride, dilation, pad: of the convolution
  tile_width, tile_height: output pixels a step; out_blocks: output channels a lane; in_channels: input channels a lane
  vec: 4 if w, ow, tile_width and tile_width*stride are multiples of 4; else 1
  lanes: the workgroup's size = the subgroup size (8 on lavapipe);  subgroups: false to do without subgroup operations
Bindings: 0 Params, 1 x, 2 dy, 3 partial
Dispatch: groups = splits * members * k_blocks * c_blocks workgroups with k_blocks = ceil(k / (lanes * out_blocks)), c_blocks =
  ceil(c / in_channels), tiles_x = ceil(ow / tile_width), tiles_y = ceil(oh / tile_height), splits = ceil(units /
  units_per_split); folded as group = wid.x + wid.y * num_workgroups.x
-#}
{%- set TW, TH, KW, KH, S, D, LANES = tile_width, tile_height, kernel_width, kernel_height, stride, dilation, lanes -%}
{%- set step = S if KW == 1 and KH == 1 else 1 -%}
{%- set XW, XH = ((TW - 1) * S + (KW - 1) * D) // step + 1, ((TH - 1) * S + (KH - 1) * D) // step + 1 -%}
{%- if vec == 4 -%}
{%- set lead = (pad + 3) // 4 * 4 -%}
{%- set skip = lead - pad -%}
{%- set chunks = (skip + (XW - 1) * step + 1 + 3) // 4 -%}
{%- else -%}
{%- set lead, skip, chunks = pad, 0, XW -%}
{%- endif -%}
{%- set loads = (XH * chunks + LANES - 1) // LANES if subgroups else XH * chunks -%}
{%- set value_type = "vec4<f32>" if vec == 4 else "f32" -%}
{%- set unit = " / 4u" if vec == 4 else "" -%}
{%- set first = "(n * p.members + member)" if grouped is defined else "n" -%}
struct Params {
  batch: u32, c: u32, h: u32, w: u32, k: u32, oh: u32, ow: u32,
  tiles_x: u32, tiles_y: u32, k_blocks: u32, c_blocks: u32, units: u32, units_per_split: u32, groups: u32,
{% if grouped is defined %}
  members: u32,
{% endif %}
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<{{value_type}}>;
@group(0) @binding(2) var<storage, read_write> dy: array<{{value_type}}>;
@group(0) @binding(3) var<storage, read_write> partial: array<f32>;

@compute @workgroup_size({{LANES}})
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
        @builtin({{"subgroup_invocation_id" if subgroups else "local_invocation_index"}}) lane: u32) {
  let group = wid.x + wid.y * count.x;
  if (group >= p.groups) { return; }
  let cb = group % p.c_blocks;
  let kb = group / p.c_blocks % p.k_blocks;
{% if grouped is defined %}
  let member = group / p.c_blocks / p.k_blocks % p.members;
  let split = group / p.c_blocks / p.k_blocks / p.members;
{% else %}
  let split = group / p.c_blocks / p.k_blocks;
{% endif %}
  let row_length = p.w{{unit}};
  let plane = p.h * p.w{{unit}};
  let out_length = p.ow{{unit}};
  let out_plane = p.oh * p.ow{{unit}};
  // Where this lane reads, relative to a tile's origin.
{% for j in range(loads) %}
  let dr{{j}} = {{step}}u * ({% if subgroups %}({{j * LANES}}u + lane) / {{chunks}}u{% else %}{{j // chunks}}u{% endif %}) - {{pad}}u;
  let dc{{j}} = {{1 if vec == 4 else step}}u * ({% if subgroups %}({{j * LANES}}u + lane) % {{chunks}}u{% else %}{{j % chunks}}u{% endif %}) - {{lead // vec}}u;
{% endfor %}
{% for b in range(out_blocks) %}
  let k{{b}} = (kb * {{out_blocks}}u + {{b}}u) * {{LANES}}u + lane;
  let k_at{{b}} = min(k{{b}}, p.k - 1u) * out_plane;
{% endfor %}
{% for d in range(in_channels) %}
  let c_at{{d}} = min(cb * {{in_channels}}u + {{d}}u, p.c - 1u) * plane;
{% for b in range(out_blocks) %}{% for t in range(KH * KW) %}
  var sum{{b}}_{{d}}_{{t}} = 0.0;
{% endfor %}{% endfor %}
{% endfor %}
  let first = split * p.units_per_split;
  let last = min(first + p.units_per_split, p.units);
  var tx = first % p.tiles_x;
  var ty = first / p.tiles_x % p.tiles_y;
  var n = first / p.tiles_x / p.tiles_y;
  for (var tile = first; tile < last; tile++) {
    let ox = tx * {{TW // vec}}u;
    let oy = ty * {{TH}}u;
    let dy_at = {{ first }} * p.k * out_plane + oy * out_length + ox;
    let x_at = {{ first }} * p.c * plane;
{% for j in range(loads) %}
    let row{{j}} = oy * {{S}}u + dr{{j}};
    let col{{j}} = tx * {{TW * S // vec}}u + dc{{j}};
    let inside{{j}} = (row{{j}} < p.h) & (col{{j}} < row_length);
    let at{{j}} = select(0u, x_at + row{{j}} * row_length + col{{j}}, inside{{j}});
{% endfor %}
{% for i in range(TH) %}{% for j in range(TW // vec) %}
    let live{{i}}_{{j}} = (oy + {{i}}u < p.oh) & (ox + {{j}}u < out_length);
    let y_at{{i}}_{{j}} = select(0u, dy_at + {{i}}u * out_length + {{j}}u, live{{i}}_{{j}});
{% for b in range(out_blocks) %}
    let y{{b}}_{{i}}_{{j}} = select({{value_type}}(0.0), dy[k_at{{b}} + y_at{{i}}_{{j}}], live{{i}}_{{j}});
{% endfor %}
{% endfor %}{% endfor %}
{% for d in range(in_channels) %}
{% for j in range(loads) %}
    let x{{d}}_{{j}} = select({{value_type}}(0.0), x[c_at{{d}} + at{{j}}], inside{{j}});
{% endfor %}
{% for row in range(XH) %}{% for col in range(XW) %}
{% set from = skip + col * step if vec == 4 else col %}
{% set v = row * chunks + (from // 4 if vec == 4 else from) %}
{% set part = "." ~ "xyzw"[from % 4] if vec == 4 else "" %}
{% if subgroups %}
    let b{{d}}_{{row}}_{{col}} = subgroupBroadcast(x{{d}}_{{v // LANES}}{{part}}, {{v % LANES}}u);
{% else %}
    let b{{d}}_{{row}}_{{col}} = x{{d}}_{{v}}{{part}};
{% endif %}
{% for r in range(KH) %}{% for s in range(KW) %}
{% set i, j = (row * step - r * D) // S, (col * step - s * D) // S %}
{% if i * S + r * D == row * step and j * S + s * D == col * step and i >= 0 and j >= 0 and i < TH and j < TW %}
{% for b in range(out_blocks) %}
{% set acc = "sum" ~ b ~ "_" ~ d ~ "_" ~ (r * KW + s) %}
    {{acc}} = fma(b{{d}}_{{row}}_{{col}}, y{{b}}_{{i}}_{{j // vec}}{% if vec == 4 %}.{{"xyzw"[j % 4]}}{% endif %}, {{acc}});
{% endfor %}
{% endif %}
{% endfor %}{% endfor %}
{% endfor %}{% endfor %}
{% endfor %}
    tx += 1u;
    ty += select(0u, 1u, tx == p.tiles_x);
    tx = select(tx, 0u, tx == p.tiles_x);
    n += select(0u, 1u, ty == p.tiles_y);
    ty = select(ty, 0u, ty == p.tiles_y);
  }
{% for b in range(out_blocks) %}{% for d in range(in_channels) %}
  if ((k{{b}} < p.k) & (cb * {{in_channels}}u + {{d}}u < p.c)) {
    let at = (({{ "(split * p.members + member)" if grouped is defined else "split" }} * p.k + k{{b}}) * p.c + cb * {{in_channels}}u + {{d}}u) * {{KH * KW}}u;
{% for t in range(KH * KW) %}
    partial[at + {{t}}u] = sum{{b}}_{{d}}_{{t}};
{% endfor %}
  }
{% endfor %}{% endfor %}
}
