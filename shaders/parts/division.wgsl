{# As parts/stochastic.wgsl, but as the code of DIVISION's authors has it: s = LEVELS/(max − min + 2e-6) and m = min in
   single precision make the codes, q = round(max((x − m)·s + u − 0.5, 0)); both are stored in bf16, and x̂ = q/s + m. What
   is not finite gets NaN for both. The kernel includes the parts bf16, bits, codes, min_max, packet and random.
   Variables: bits, vector. -#}

// The word of range that is stored, m low and s high, and what codes are made with.
struct Coder {
    range: u32,
    m: f32,
    scale: f32,
}

fn coder_of(min_max: MinMax) -> Coder {
    if !has_range(min_max) {
        return Coder(0x7fc07fc0u, 0.0, 0.0);
    }
    let scale = f32(LEVELS) / (min_max.high - min_max.low + 2e-6);
    return Coder(bf16_nearest(min_max.low) | (bf16_nearest(scale) << 16u), min_max.low, scale);
}

// The codes of STEP elements, packed from bit 0; i is the number of the first. At the upper end rounding may reach one
// level too many, which would run into the next code: that alone is not as the authors have it.
fn codes_of(value: Packet, coder: Coder, stream: Stream, i: u32) -> u32 {
    let u = {{ "draw4" if vector else "draw" }}(stream, i);
    return packed_codes(clamp(round((value - coder.m) * coder.scale + u - 0.5), Packet(), Packet(f32(LEVELS))));
}
