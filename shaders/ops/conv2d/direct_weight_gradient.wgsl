{#-
Weight gradient of a 2-D convolution in registers, for adapters that run shaders on the CPU (lavapipe).  NCHW, f32.

  dw[k,c,r,s] = sum over n,oy,ox of dy[n,k,oy,ox] * x[n, c, oy*stride + r*dilation - pad, ox*stride + s*dilation - pad]

The sum runs over units = batch * tiles_x strips, tile_width output pixels wide and as high as the output.  It is cut into
splits of units_per_split consecutive strips; split q writes its share to partial[q][k][c][r][s], and sum_parts.wgsl adds
the shares in order (with one split `partial` is dw itself).  No atomics: the same bits on every run.

With groups (`grouped` is set) everything is said of one of `members` convolutions that lie side by side in all three arrays.

The lanes of a workgroup of one subgroup are `lanes` consecutive output channels (times out_blocks); every lane keeps
the kernel area of in_channels input channels in registers.  It walks down a strip, an output row a step, and keeps the input
rows under the kernel: only those that come into it are loaded, by all lanes together, and handed out by subgroupBroadcast.

Template variables
  kernel_width, kernel_height, stride, dilation, pad: of the convolution
  tile_width: output pixels a step; out_blocks: output channels a lane; in_channels: input channels a lane
  width: the input's, if a tile is as wide as the output, else 0: what lies beyond it is then neither loaded nor multiplied
  vec: 4 if w, ow, tile_width and tile_width*stride are multiples of 4; else 1
  store_vec: 4 to store vec4, which is a third of the code: c must be a multiple of in_channels, and what these have in a filter
    of 4; else 1
  lanes: the workgroup's size = the subgroup size (8 on lavapipe);  subgroups: false to do without subgroup operations
  adds: if it is set, shares are added to what `partial` holds
Bindings: 0 Params, 1 x, 2 dy, 3 partial
Dispatch: groups = splits * members * k_blocks * c_blocks workgroups with k_blocks = ceil(k / (lanes * out_blocks)), c_blocks =
  ceil(c / in_channels), tiles_x = ceil(ow / tile_width), splits = ceil(units / units_per_split); folded as
  group = wid.x + wid.y * num_workgroups.x
-#}
{%- set TW, KW, KH, S, D, LANES = tile_width, kernel_width, kernel_height, stride, dilation, lanes -%}
{%- set area = KH * KW -%}
{%- set step = S if KW == 1 and KH == 1 else 1 -%}
{%- set XW, XH = ((TW - 1) * S + (KW - 1) * D) // step + 1, (KH - 1) * D + 1 -%}
{#- Of the XH rows under the kernel so many are there when the next output row comes. -#}
{%- set keep = [XH - S, 0]|max -%}
{#- A row holds `chunks` loads for each input channel; it starts `lead` values before the tile's origin. -#}
{%- set lead = 0 if width else (pad + vec - 1) // vec * vec -%}
{%- set skip = lead - pad -%}
{%- set unit = vec if vec == 4 else step -%}
{%- set chunks = (skip + (XW - 1) * step) // unit + 1 -%}
{%- set chunks = [chunks, (width + unit - 1) // unit]|min if width else chunks -%}
{%- set total = in_channels * chunks -%}
{%- set loads = (total + LANES - 1) // LANES if subgroups else total -%}
{%- set value_type = "vec4<f32>" if vec == 4 else "f32" -%}
{%- set per = " / 4u" if vec == 4 else "" -%}
{%- set sample = "(n * p.members + member)" if grouped is defined else "n" -%}
struct Params {
  batch: u32, c: u32, h: u32, w: u32, k: u32, oh: u32, ow: u32,
  tiles_x: u32, k_blocks: u32, c_blocks: u32, units: u32, units_per_split: u32, groups: u32,
{% if grouped is defined %}
  members: u32,
{% endif %}
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<{{value_type}}>;
@group(0) @binding(2) var<storage, read_write> dy: array<{{value_type}}>;
@group(0) @binding(3) var<storage, read_write> partial: array<{{"vec4<f32>" if store_vec == 4 else "f32"}}>;

{% macro load(row) %}
{% for j in range(loads) %}
      x{{row}}_{{j}} = select({{value_type}}(0.0), x[select(0u, at{{j}} + row{{row}} * row_length, inside{{j}} & (row{{row}} < p.h))], inside{{j}} & (row{{row}} < p.h));
{% endfor %}
{% endmacro %}
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
  let row_length = p.w{{per}};
  let plane = p.h * p.w{{per}};
  let out_length = p.ow{{per}};
  let out_plane = p.oh * p.ow{{per}};
  // Which channel and column this lane reads, relative to a sample's and a strip's origin.
{% for j in range(loads) %}
{% if subgroups %}
  let v{{j}} = {{j * LANES}}u + lane;
{% else %}
  let v{{j}} = {{j}}u;
{% endif %}
  let c_at{{j}} = min(cb * {{in_channels}}u + v{{j}} / {{chunks}}u, p.c - 1u) * plane;
  let dc{{j}} = {{unit // vec}}u * (v{{j}} % {{chunks}}u) - {{lead // vec}}u;
{% endfor %}
{% for b in range(out_blocks) %}
  let k{{b}} = (kb * {{out_blocks}}u + {{b}}u) * {{LANES}}u + lane;
  let k_at{{b}} = min(k{{b}}, p.k - 1u) * out_plane;
{% for d in range(in_channels) %}{% for t in range(area) %}
  var sum{{b}}_{{d}}_{{t}} = 0.0;
{% endfor %}{% endfor %}
{% endfor %}
  let first = split * p.units_per_split;
  let last = min(first + p.units_per_split, p.units);
  for (var strip = first; strip < last; strip++) {
    let tx = strip % p.tiles_x;
    let n = strip / p.tiles_x;
    let ox = tx * {{TW // vec}}u;
    var dy_at = {{sample}} * p.k * out_plane + ox;
    let x_at = {{sample}} * p.c * plane;
{% for j in range(loads) %}
    let col{{j}} = tx * {{TW * S // vec}}u + dc{{j}};
    let inside{{j}} = col{{j}} < row_length;
    let at{{j}} = x_at + c_at{{j}} + col{{j}};
{% endfor %}
{% for j in range(TW // vec) %}
    let live{{j}} = ox + {{j}}u < out_length;
{% endfor %}
{% for row in range(XH) %}{% for j in range(loads) %}
    var x{{row}}_{{j}} = {{value_type}}(0.0);
{% endfor %}{% endfor %}
{% for row in range(keep) %}
    let row{{row}} = {{row}}u - {{pad}}u;
{{ load(row) }}
{% endfor %}
    for (var oy = 0u; oy < p.oh; oy++) {
{% for row in range(keep, XH) %}
      let row{{row}} = oy * {{S}}u + {{row}}u - {{pad}}u;
{{ load(row) }}
{% endfor %}
{% for b in range(out_blocks) %}{% for j in range(TW // vec) %}
      let y{{b}}_{{j}} = select({{value_type}}(0.0), dy[select(0u, k_at{{b}} + dy_at + {{j}}u, live{{j}})], live{{j}});
{% endfor %}{% endfor %}
{% set sums = steps() %}
{% for d in range(in_channels) %}{% for row in range(XH) %}{% if row % D == 0 %}
{% for col in range(XW) %}
{% set from = skip + col * step %}
{% if from >= 0 and from // unit < chunks %}
{% set v = d * chunks + from // unit %}
{% set part = "." ~ "xyzw"[from % 4] if vec == 4 else "" %}
{% if subgroups %}
      let b{{d}}_{{row}}_{{col}} = subgroupBroadcast(x{{row}}_{{v // LANES}}{{part}}, {{v % LANES}}u);
{% else %}
      let b{{d}}_{{row}}_{{col}} = x{{row}}_{{v}}{{part}};
{% endif %}
{% for s in range(KW) %}
{% set j = (col * step - s * D) // S %}
{% if j * S + s * D == col * step and j >= 0 and j < TW %}
{% for b in range(out_blocks) %}
{% set sum = "sum" ~ b ~ "_" ~ d ~ "_" ~ (row // D * KW + s) %}
{% set before = sums.now(sum) %}
      let {{sums.next(sum)}} = fma(b{{d}}_{{row}}_{{col}}, y{{b}}_{{j // vec}}{% if vec == 4 %}.{{"xyzw"[j % 4]}}{% endif %}, {{before}});
{% endfor %}
{% endif %}
{% endfor %}
{% endif %}
{% endfor %}
{% endif %}{% endfor %}{% endfor %}
{% for sum, newest in sums.all() %}
      {{sum}} = {{newest}};
{% endfor %}
{% for row in range(keep) %}{% for j in range(loads) %}
      x{{row}}_{{j}} = x{{row + S}}_{{j}};
{% endfor %}{% endfor %}
      dy_at += out_length;
    }
  }
{% for b in range(out_blocks) %}
  if (k{{b}} < p.k) {
    let at{{b}} = (({{ "(split * p.members + member)" if grouped is defined else "split" }} * p.k + k{{b}}) * p.c + cb * {{in_channels}}u) * {{area}}u;
{% if store_vec == 4 %}
{% for i in range(0, in_channels * area, 4) %}
    partial[at{{b}} / 4u + {{i // 4}}u] = {{ "partial[at" ~ b ~ " / 4u + " ~ i // 4 ~ "u] + " if adds is defined }}vec4<f32>({% for v in range(i, i + 4) %}sum{{b}}_{{v // area}}_{{v % area}}{{ ", " if not loop.last }}{% endfor %});
{% endfor %}
{% else %}
{% for d in range(in_channels) %}
    if (cb * {{in_channels}}u + {{d}}u < p.c) {
{% for t in range(area) %}
      partial[at{{b}} + {{d * area + t}}u] = {{ "partial[at" ~ b ~ " + " ~ (d * area + t) ~ "u] + " if adds is defined }}sum{{b}}_{{d}}_{{t}};
{% endfor %}
    }
{% endfor %}
{% endif %}
  }
{% endfor %}
}
