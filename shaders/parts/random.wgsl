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

// The numbers of one purpose in one step. Number i is hash(start + i·stride): of two streams with strides of their own no
// stretch of one is a shifted stretch of the other.
struct Stream {
    start: u32,
    stride: u32,
}

fn stream_of(purpose: u32, seed: u32, step: u32) -> Stream {
    let start = hash(hash(hash(purpose) ^ seed) ^ step);
    let stride = hash(hash(hash(~purpose) ^ seed) ^ step) | 1u;
    return Stream(start, stride);
}

fn draw(stream: Stream, i: u32) -> f32 {
    return unit(hash(stream.start + i * stream.stride));
}

// Numbers i to i + 3.
fn draw4(stream: Stream, i: u32) -> vec4<f32> {
    return vec4(draw(stream, i), draw(stream, i + 1u), draw(stream, i + 2u), draw(stream, i + 3u));
}
