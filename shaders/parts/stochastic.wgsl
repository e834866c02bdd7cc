{# From elements to the codes of parts/codes.wgsl, rounded by chance so that decoding is unbiased: q = ⌊(x − m)/s + u⌋, u
   uniform in [0, 1). m and s are bf16, m rounded down and s up, so that m ≤ x ≤ m + s·LEVELS; one word holds both, m in
   the low half. What is not finite gets NaN for both. The kernel binds `control` and includes the parts bf16, bits,
   codes, lane and random.
   Variables: bits, vector. -#}

// The extremes of some elements, and whether all of them are finite.
struct Extent {
    low: f32,
    high: f32,
    finite: bool,
}

const NOTHING = Extent(3.4e38, -3.4e38, true);

fn join(a: Extent, b: Extent) -> Extent {
    return Extent(min(a.low, b.low), max(a.high, b.high), a.finite && b.finite);
}

// The range of an extent, outwards in bf16.
fn range_of(extent: Extent) -> u32 {
    if !extent.finite || !is_finite(extent.low) || !is_finite(extent.high) {
        return 0x7fc07fc0u;
    }
    let m = bf16_down(extent.low);
    // A little more than the width, so that quotient and product may round either way.
    let width = (extent.high - bf16_value(m)) * (1.0 + 1e-6);
    // At least the smallest normal single, 2^-126: there is no telling what a driver does with a step below it.
    return m | (max(bf16_up(width / f32(LEVELS)), 0x80u) << 16u);
}

// 1/s, or 0 where there is no range.
fn scale_of(range: u32) -> f32 {
    let s = bf16_value(range >> 16u);
    return select(0.0, 1.0 / s, is_finite(s));
}

// Element i of a value draws its u from hash(key + i): the key is that of value, seed and step.
fn key_of(stream: u32) -> u32 {
    return hash(hash(hash(stream) ^ control[1]) ^ control[0]);
}

// The codes of STEP elements, packed from bit 0.
fn codes_of(value: Lane, m: f32, scale: f32, counter: u32) -> u32 {
{% if vector %}
    let u = vec4(unit(hash(counter)), unit(hash(counter + 1u)), unit(hash(counter + 2u)), unit(hash(counter + 3u)));
    let q = vec4<u32>(clamp(floor((value - m) * scale + u), vec4(0.0), vec4(f32(LEVELS))));
    return q.x | (q.y << {{ bits }}u) | (q.z << {{ 2 * bits }}u) | (q.w << {{ 3 * bits }}u);
{% else %}
    return u32(clamp(floor((value - m) * scale + unit(hash(counter))), 0.0, f32(LEVELS)));
{% endif %}
}
