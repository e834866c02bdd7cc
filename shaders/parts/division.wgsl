{# As parts/stochastic.wgsl, but as the code of DIVISION's authors has it: s = LEVELS/(max − min + 2e-6) and m = min in
   single precision make the codes, q = round(max((x − m)·s + u − 0.5, 0)); both are stored in bf16, and x̂ = q/s + m. What
   is not finite gets NaN for both. The kernel includes the parts bf16, bits, codes, extent, lane and random.
   Variables: bits, vector. -#}

// The word of range that is stored, m low and s high, and what codes are made with.
struct Coder {
    range: u32,
    m: f32,
    scale: f32,
}

fn coder_of(extent: Extent) -> Coder {
    if !has_range(extent) {
        return Coder(0x7fc07fc0u, 0.0, 0.0);
    }
    let scale = f32(LEVELS) / (extent.high - extent.low + 2e-6);
    return Coder(bf16_nearest(extent.low) | (bf16_nearest(scale) << 16u), extent.low, scale);
}

// The codes of STEP elements, packed from bit 0; i is the number of the first. At the upper end rounding may reach one
// level too many, which would run into the next code: that alone is not as the authors have it.
fn codes_of(value: Lane, coder: Coder, stream: Stream, i: u32) -> u32 {
    let u = {{ "draw4" if vector else "draw" }}(stream, i);
    return packed_codes(clamp(round((value - coder.m) * coder.scale + u - 0.5), Lane(), Lane(f32(LEVELS))));
}
