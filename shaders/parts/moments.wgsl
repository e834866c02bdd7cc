{# Moments of gradients in 8 bits, see crates/tensor/src/ops/optimizer/moments.rs for the two maps and what they promise. Four
   codes make a word, the first in the lowest byte. Codes are rounded by chance, so that the mean of what is decoded is what was encoded: `random` are random words.
   Variables: block (elements that share a scale). -#}
const BLOCK_WORDS = {{ block // 4 }}u;
// A square of code q has the upper 12 bits q + SQUARE_OFFSET: three of mantissa, and 255 stands for 1.
const SQUARE_OFFSET = 761u;
// The least scale but nothing, 2^-94: with it the smallest square, 2^-126, is still a normal number.
const LEAST_SCALE = 0x10800000u;

fn bytes_of(codes: u32) -> vec4<u32> {
    return (vec4(codes) >> vec4(0u, 8u, 16u, 24u)) & vec4(0xffu);
}

fn packed_bytes(bytes: vec4<u32>) -> u32 {
    return bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | (bytes.w << 24u);
}

// Signed: of a magnitude q = 2^i + k, k < 2^i, the fraction 8^(i−6) · (1/8 + 7/8 · (k + 1)/2^i) of the scale. The float of q has i in its
// exponent and k/2^i in its mantissa.
fn decoded_signed(codes: u32, scale: f32) -> vec4<f32> {
    let bytes = bytes_of(codes);
    let q = bytes & vec4(0x7fu);
    let number = vec4<f32>(max(q, vec4(1u)));
    let exponent = bitcast<vec4<u32>>(number) >> vec4(23u);
    let share = bitcast<vec4<f32>>((254u - exponent) << vec4(23u));
    let level = 0.125 + 0.875 * (number * share - 1.0 + share);
    let octave = bitcast<vec4<f32>>((3u * exponent - 272u) << vec4(23u));
    let magnitude = select(level * octave, vec4<f32>(), q == vec4<u32>());
    let sign = (bytes & vec4(0x80u)) << vec4(24u);
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(magnitude) | sign) * scale;
}

// The codes of x, whose magnitudes are at most the scale.
fn encoded_signed(x: vec4<f32>, scale: f32, random: vec4<u32>) -> u32 {
    let magnitude = min(abs(x) / scale, vec4(1.0));
    // From 8^-(j+1), without, to 8^-j; below 8^-6 the step is the same down to 0.
    let bits = max(bitcast<vec4<u32>>(magnitude), vec4(1u)) - 1u;
    let j = min((126u - min(bits >> vec4(23u), vec4(126u))) / 3u, vec4(6u));
    let relative = magnitude * bitcast<vec4<f32>>((127u + 3u * j) << vec4(23u));
    let count = bitcast<vec4<f32>>((133u - j) << vec4(23u));
    let index = select(count - 1.0 + (relative - 0.125) * (8.0 / 7.0) * count, relative, j == vec4(6u));
    let u = vec4<f32>(random >> vec4(8u)) * (1.0 / 16777216.0);
    let q = min(vec4<u32>(index + u), vec4(127u));
    let sign = (bitcast<vec4<u32>>(x) >> vec4(24u)) & vec4(0x80u);
    return packed_bytes(select(q | sign, vec4<u32>(), q == vec4<u32>()));
}

// Squares: a float with three bits of mantissa and 32 octaves below the scale.
fn decoded_square(codes: u32, scale: f32) -> vec4<f32> {
    let q = bytes_of(codes);
    let fraction = bitcast<vec4<f32>>((q + SQUARE_OFFSET) << vec4(20u));
    return select(fraction, vec4<f32>(), q == vec4<u32>()) * scale;
}

// Random bits are added below the three of the mantissa. Only 0 has the code 0.
fn encoded_square(x: vec4<f32>, scale: f32, random: vec4<u32>) -> u32 {
    let fraction = bitcast<vec4<u32>>(min(x / scale, vec4(1.0)));
    let least = vec4((SQUARE_OFFSET + 1u) << 20u);
    let q = min((max(fraction, least) + (random >> vec4(12u))) >> vec4(20u), vec4(SQUARE_OFFSET + 255u)) - SQUARE_OFFSET;
    return packed_bytes(select(q, vec4<u32>(), bitcast<vec4<u32>>(x) == vec4<u32>()));
}

// The largest magnitude as bits, which are in the order of the magnitudes, those of NaN behind all others.
fn largest_bits(x: vec4<f32>) -> u32 {
    let bits = bitcast<vec4<u32>>(x) & vec4(0x7fffffffu);
    return max(max(bits.x, bits.y), max(bits.z, bits.w));
}

// The scale of a block with this largest magnitude: NaN if one is not finite, so that all of the block decodes to NaN.
fn scale_of(largest: u32) -> f32 {
    return bitcast<f32>(select(max(largest, LEAST_SCALE), 0x7fc00000u, largest >= 0x7f800000u));
}
