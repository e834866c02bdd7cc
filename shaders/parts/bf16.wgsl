{# bfloat16: the upper half of a single, in the low 16 bits of a word. Callers give finite numbers. -#}
fn bf16_value(half: u32) -> f32 {
    return bitcast<f32>(half << 16u);
}

// To the nearest, ties to even.
fn bf16_nearest(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    return (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
}

// Towards minus infinity.
fn bf16_down(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    let away = select(0u, 0xffffu, (bits >> 31u) == 1u);
    return (bits + away) >> 16u;
}

// Towards plus infinity, for x ≥ 0.
fn bf16_up(x: f32) -> u32 {
    return (bitcast<u32>(x) + 0xffffu) >> 16u;
}
