{#-
Matrix product in registers, for adapters that run shaders on the CPU (lavapipe).  f32, row-major, any m, n, k:

  c[i,j] = sum over q of A(i,q) * B(q,j),   i < m, j < n, q < k
  A(i,q) = a[i*k + q],  transpose_a: a[q*m + i];    B(q,j) = b[q*n + j],  transpose_b: b[j*k + q]

The lanes of a workgroup of one subgroup lie along n; every lane keeps `rows` x `cols` values of c in registers (a tile is
rows x cols*lanes).  Values of A are loaded once by all lanes together and handed out by subgroupBroadcast.

Template variables
  transpose_a, transpose_b; rows: a multiple of 16; cols: a multiple of 4
  vec_a: 4 if a's contiguous dimension (k; transpose_a: m) is a multiple of 4, else 1
  vec_b: 4 if b's contiguous dimension (n; transpose_b: k) is a multiple of 4, else 1
  lanes: the workgroup's size = the subgroup size (4, 8 or 16; 8 on lavapipe)
  subgroups: false to do without subgroup operations
  kind, add: if something follows, see parts/epilogue.wgsl
Bindings: 0 Params, 1 a, 2 b, 3 c, with `add` 4 bias (n)
Dispatch: groups = ceil(m / rows) * tiles_n workgroups with tiles_n = ceil(n / (cols * lanes)); folded as
  group = wid.x + wid.y * num_workgroups.x
-#}
{%- set LANES = lanes -%}
{%- set c_vec = vec_b == 4 and not transpose_b -%}
{%- set row_groups = rows // LANES -%}
{#- vec_a 4, transpose_a: 4 lanes side by side hold 16 rows of one q; LANES / 4 values of q a load. -#}
{%- set q_lanes = LANES // 4 -%}
struct Params { m: u32, n: u32, k: u32, tiles_n: u32, groups: u32{{ ", low: f32, high: f32" if kind is defined }} }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> a: array<{{"vec4<f32>" if vec_a == 4 else "f32"}}>;
@group(0) @binding(2) var<storage, read_write> b: array<{{"vec4<f32>" if vec_b == 4 else "f32"}}>;
@group(0) @binding(3) var<storage, read_write> c: array<{{"vec4<f32>" if c_vec else "f32"}}>;
{% set vector, last = c_vec, 3 %}
{% include "parts/epilogue.wgsl" %}

@compute @workgroup_size({{LANES}})
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
        @builtin({{"subgroup_invocation_id" if subgroups else "local_invocation_index"}}) lane: u32) {
  let group = wid.x + wid.y * count.x;
  if (group >= p.groups) { return; }
  let i0 = group / p.tiles_n * {{rows}}u;
  let j0 = group % p.tiles_n * {{cols * LANES}}u;
{% if not subgroups %}
{% for i in range(rows) %}
  let a_at{{i}} = min(i0 + {{i}}u, p.m - 1u);
{% endfor %}
{% elif vec_a == 4 and transpose_a %}
{% for g in range(rows // 16) %}
  let a_at{{g}} = min(i0 / 4u + {{g * 4}}u + lane % 4u, p.m / 4u - 1u);
{% endfor %}
{% else %}
{% for g in range(row_groups) %}
  let a_at{{g}} = min(i0 + {{g * LANES}}u + lane, p.m - 1u){% if not transpose_a %} * {% if vec_a == 4 %}(p.k / 4u){% else %}p.k{% endif %}{% endif %};
{% endfor %}
{% endif %}
{% for j in range(cols) %}
{% if transpose_b %}
  let b_at{{j}} = min(j0 + {{j * LANES}}u + lane, p.n - 1u) * {% if vec_b == 4 %}(p.k / 4u){% else %}p.k{% endif %};
{% elif vec_b == 1 %}
  let b_at{{j}} = min(j0 + {{j * LANES}}u + lane, p.n - 1u);
{% elif j % 4 == 0 %}
  let b_at{{j // 4}} = min((j0 + {{j * LANES}}u) / 4u + lane, p.n / 4u - 1u);
{% endif %}
{% endfor %}
{% for i in range(rows) %}{% for j in range(cols) %}
  var sum{{i}}_{{j}} = 0.0;
{% endfor %}{% endfor %}
  for (var q0 = 0u; q0 < p.k; q0 += 4u) {
{% if subgroups and vec_a == 4 and not transpose_a %}
{% for g in range(row_groups) %}
    let a{{g}} = a[a_at{{g}} + q0 / 4u];
{% endfor %}
{% elif subgroups and vec_a == 4 %}
{% for h in range(4 // q_lanes) %}
    let a_q{{h}} = q0 + {{h * q_lanes}}u + lane / 4u;
    let a_row{{h}} = min(a_q{{h}}, p.k - 1u) * (p.m / 4u);
{% for g in range(rows // 16) %}
    let a{{h}}_{{g}} = select(vec4<f32>(0.0), a[a_row{{h}} + a_at{{g}}], a_q{{h}} < p.k);
{% endfor %}
{% endfor %}
{% endif %}
{% if transpose_b and vec_b == 4 %}
{% for j in range(cols) %}
    let b{{j}} = b[b_at{{j}} + q0 / 4u];
{% endfor %}
{% endif %}
{% set sums = steps() %}
{% for q in range(4) %}
{% set part = "xyzw"[q] %}
    let q{{q}} = min(q0 + {{q}}u, p.k - 1u);
{% for j in range(cols) %}
{% if transpose_b and vec_b == 4 %}
    let b{{q}}_{{j}} = b{{j}}.{{part}};
{% elif transpose_b %}
    let b{{q}}_{{j}} = b[b_at{{j}} + q{{q}}];
{% elif vec_b == 4 %}
{% if j % 4 == 0 %}
    let bv{{q}}_{{j // 4}} = b[q{{q}} * (p.n / 4u) + b_at{{j // 4}}];
{% endif %}
    let b{{q}}_{{j}} = bv{{q}}_{{j // 4}}.{{"xyzw"[j % 4]}};
{% else %}
    let b{{q}}_{{j}} = b[q{{q}} * p.n + b_at{{j}}];
{% endif %}
{% endfor %}
{% if subgroups and vec_a == 1 %}
{% for g in range(row_groups) %}
    let a{{q}}_{{g}} = select(0.0, a[{% if transpose_a %}q{{q}} * p.m + a_at{{g}}{% else %}a_at{{g}} + q{{q}}{% endif %}], q0 + {{q}}u < p.k);
{% endfor %}
{% endif %}
{% for i in range(rows) %}
{% if not subgroups %}
{% set at = "q" ~ q ~ " * p.m + a_at" ~ i if transpose_a else "a_at" ~ i ~ " * p.k + q" ~ q %}
    let a{{q}}_{{i}} = select(0.0, a[{% if vec_a == 4 %}({{at}}) / 4u{% else %}{{at}}{% endif %}]{% if vec_a == 4 %}.{{"xyzw"[i % 4] if transpose_a else part}}{% endif %}, q0 + {{q}}u < p.k);
{% elif vec_a == 4 and not transpose_a %}
    let a{{q}}_{{i}} = subgroupBroadcast(a{{i // LANES}}.{{part}}, {{i % LANES}}u);
{% elif vec_a == 4 %}
    let a{{q}}_{{i}}_ = subgroupBroadcast(a{{q // q_lanes}}_{{i // 16}}.{{"xyzw"[i % 4]}}, {{(q % q_lanes) * 4 + i % 16 // 4}}u);
{% else %}
    let a{{q}}_{{i}}_ = subgroupBroadcast(a{{q}}_{{i // LANES}}, {{i % LANES}}u);
{% endif %}
{% for j in range(cols) %}
{% set sum = "sum" ~ i ~ "_" ~ j %}
{% set before = sums.now(sum) %}
    let {{sums.next(sum)}} = fma(a{{q}}_{{i}}{% if subgroups and (vec_a == 1 or transpose_a) %}_{% endif %}, b{{q}}_{{j}}, {{before}});
{% endfor %}
{% endfor %}
{% endfor %}
{% for sum, newest in sums.all() %}
    {{sum}} = {{newest}};
{% endfor %}
  }
{% if kind is defined %}
{% for j in range(cols // (4 if c_vec else 1)) %}
{% if c_vec %}
  let column{{j}} = min(j0 + {{j * 4 * LANES}}u + lane * 4u, p.n - 4u);
  let shift{{j}} = Packet(shift_of(column{{j}}), shift_of(column{{j}} + 1u), shift_of(column{{j}} + 2u), shift_of(column{{j}} + 3u));
{% else %}
  let shift{{j}} = shift_of(min(j0 + {{j * LANES}}u + lane, p.n - 1u));
{% endif %}
{% endfor %}
{% endif %}
{% for i in range(rows) %}
  if (i0 + {{i}}u < p.m) {
{% if c_vec %}
{% for j in range(cols // 4) %}
{% set before, after = ("epilogue(", ", shift" ~ j ~ ")") if kind is defined else ("", "") %}
    if (j0 + {{j * 4 * LANES}}u + lane * 4u < p.n) {
      c[(i0 + {{i}}u) * (p.n / 4u) + (j0 + {{j * 4 * LANES}}u) / 4u + lane] = {{before}}vec4<f32>(sum{{i}}_{{j * 4}}, sum{{i}}_{{j * 4 + 1}}, sum{{i}}_{{j * 4 + 2}}, sum{{i}}_{{j * 4 + 3}}){{after}};
    }
{% endfor %}
{% else %}
{% for j in range(cols) %}
{% set before, after = ("epilogue(", ", shift" ~ j ~ ")") if kind is defined else ("", "") %}
    if (j0 + {{j * LANES}}u + lane < p.n) { c[(i0 + {{i}}u) * p.n + j0 + {{j * LANES}}u + lane] = {{before}}sum{{i}}_{{j}}{{after}}; }
{% endfor %}
{% endif %}
  }
{% endfor %}
}
