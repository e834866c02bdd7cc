{# Codes of a few bits between a minimum m and m + s·LEVELS, packed into words from the lowest bits up; for both
   directions of a codec. The kernel includes parts/lane.wgsl.
   Variables: bits, vector. -#}
{% set step = 4 if vector else 1 %}
const LEVELS = {{ 2 ** bits - 1 }}u;
const PER_WORD = {{ 32 // bits }}u;
// Elements worked on at a time, and the bits of their codes.
const STEP = {{ step }}u;
const STEP_BITS = {{ bits * step }}u;

// m + q·s of STEP elements from their codes, which start at bit 0.
fn decoded(codes: u32, m: f32, s: f32) -> Lane {
{% if vector %}
    let q = (vec4(codes) >> vec4({{ 0 * bits }}u, {{ 1 * bits }}u, {{ 2 * bits }}u, {{ 3 * bits }}u)) & vec4(LEVELS);
    return m + vec4<f32>(q) * s;
{% else %}
    return m + f32(codes & LEVELS) * s;
{% endif %}
}
