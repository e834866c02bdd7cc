{# Counter-based random numbers, the same as crates/tensor/src/random.rs: PCG-RXS-M-XS (O'Neill 2014). -#}
fn hash(x: u32) -> u32 {
    let state = x * 747796405u + 2891336453u;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}

// In [0, 1), 24 bits.
fn unit(word: u32) -> f32 {
    return f32(word >> 8u) * (1.0 / 16777216.0);
}
