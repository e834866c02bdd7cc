{# From elements to the codes of parts/codes.wgsl, rounded by chance so that decoding is unbiased: q = ⌊(x − m)/s + u⌋, u
   uniform in [0, 1). m and s are bf16, m rounded down and s up, so that m ≤ x ≤ m + s·LEVELS; one word holds both, m in
   the low half. What is not finite gets NaN for both. The kernel includes the parts bf16, bits, codes, min_max, packet and
   random.
   Variables: bits, vector. -#}

// The word of range that is stored, and what codes are made with: m and 1/s.
struct Coder {
    range: u32,
    m: f32,
    scale: f32,
}

fn coder_of(min_max: MinMax) -> Coder {
    if !has_range(min_max) {
        return Coder(0x7fc07fc0u, 0.0, 0.0);
    }
    let low = bf16_down(min_max.low);
    let m = bf16_value(low);
    // A little more than the width, so that quotient and product may round either way.
    let width = (min_max.high - m) * (1.0 + 1e-6);
    // At least the smallest normal single, 2^-126: there is no telling what a driver does with a step below it.
    let step = max(bf16_up(width / f32(LEVELS)), 0x80u);
    let s = bf16_value(step);
    return Coder(low | (step << 16u), m, select(0.0, 1.0 / s, is_finite(s)));
}

// The codes of STEP elements, packed from bit 0; i is the number of the first.
fn codes_of(value: Packet, coder: Coder, stream: Stream, i: u32) -> u32 {
    let u = {{ "draw4" if vector else "draw" }}(stream, i);
    return packed_codes(clamp(floor((value - coder.m) * coder.scale + u), Packet(), Packet(f32(LEVELS))));
}
