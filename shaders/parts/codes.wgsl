{# Codes of a few bits between a minimum m and m + s·LEVELS, packed into words from the lowest bits up; for both
   directions of a codec. The kernel includes parts/packet.wgsl.
   Variables: bits, vector. -#}
{% set step = 4 if vector else 1 %}
const LEVELS = {{ 2 ** bits - 1 }}u;
const PER_WORD = {{ 32 // bits }}u;
// Elements worked on at a time, and the bits of their codes.
const STEP = {{ step }}u;
const STEP_BITS = {{ bits * step }}u;

// q of STEP elements from their codes, which start at bit 0.
fn unpacked(codes: u32) -> Packet {
{% if vector %}
    let q = (vec4(codes) >> vec4({{ 0 * bits }}u, {{ 1 * bits }}u, {{ 2 * bits }}u, {{ 3 * bits }}u)) & vec4(LEVELS);
    return vec4<f32>(q);
{% else %}
    return f32(codes & LEVELS);
{% endif %}
}

// The codes of STEP elements from their q, from 0 to LEVELS.
fn packed_codes(q: Packet) -> u32 {
{% if vector %}
    let codes = vec4<u32>(q);
    return codes.x | (codes.y << {{ bits }}u) | (codes.z << {{ 2 * bits }}u) | (codes.w << {{ 3 * bits }}u);
{% else %}
    return u32(q);
{% endif %}
}
