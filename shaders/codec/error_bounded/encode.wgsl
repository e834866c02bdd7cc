// Levels, predicted from their neighbours, in Rice codes; see crates/tensor/src/codec/error_bounded/mod.rs for layout and
// promise. Masked: only what is above zero is coded, and bit i % 32 of word i / 32 of the mask says whether element i is.
// Each tile is walked twice by one invocation: to choose k for each block and count bits and, once one atomic addition has
// reserved its words, to write them. There is no branch for rare cases, because drivers that run on CPU cores execute both sides.
// Variables: masked, width. Dispatch: one invocation of {{ width }} for each tile.
{% include "parts/step.wgsl" %}

{% include "codec/error_bounded/params.wgsl" %}

{% include "parts/controller_state.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> status: array<atomic<u32>>;
@group(0) @binding(3) var<storage, read_write> state: array<atomic<u32>>;
@group(0) @binding(4) var<storage, read_write> words: array<u32>;
{% if masked %}
@group(0) @binding(5) var<storage, read_write> mask: array<u32>;
{% endif %}

{% include "parts/grid.wgsl" %}

// Symbols below it have codes of at most 16 bits.
const LARGEST_SYMBOL = 32768u;

struct Scale {
    step: f32,
    inverse: f32,
    // Where the dither begins.
    start: u32,
}

struct Symbols {
    u: vec4<u32>,
    open: vec4<bool>,
    // What they are decoded to.
    back: vec4<f32>,
}

// What a block says of itself: Σ u, Σ u/2, Σ u/4, Σ u/8, symbols, the largest, elements that are not zero, the largest
// error, the largest magnitude as bits.
struct Block {
    sums: vec4<u32>,
    count: u32,
    top: u32,
    nonzero: u32,
    worst: f32,
    largest: u32,
}

fn load(i: u32) -> vec4<f32> {
    return select(vec4<f32>(), x[i], lanes_of(i) < vec4(p.elements));
}

fn total(v: vec4<u32>) -> u32 {
    return (v.x + v.y) + (v.z + v.w);
}

fn greatest(v: vec4<u32>) -> u32 {
    return max(max(v.x, v.y), max(v.z, v.w));
}

// 0, −1, 1, −2 … become 0, 1, 2, 3 …
fn unsigned(d: vec4<i32>) -> vec4<u32> {
    return bitcast<vec4<u32>>((d << vec4(1u)) ^ (d >> vec4(31u)));
}

fn symbols(v: vec4<f32>, i: u32, mode: u32, scale: Scale, left: ptr<function, i32>) -> Symbols {
{% if masked %}
    let d = dither(i, scale.start);
    let q = level(v, d, scale.inverse);
    let open = v > vec4<f32>();
    return Symbols(select(vec4<u32>(), vec4<u32>(q), open), open, select(vec4<f32>(), value_of(q, d, scale.step), open));
{% else %}
    let d = select(dither(i, scale.start), vec4(0.5), mode == ROUNDED);
    let q = level(v, d, scale.inverse);
    let u = unsigned(q - select(vec4<i32>(), vec4(*left, q.xyz), mode == DELTA));
    *left = q.w;
    let open = lanes_of(i) < vec4(p.elements);
    return Symbols(select(vec4<u32>(), u, open), open, value_of(q, d, scale.step));
{% endif %}
}

fn look(first: u32, stop: u32, mode: u32, scale: Scale, left: ptr<function, i32>) -> Block {
    var sum0 = vec4<u32>();
    var sum1 = vec4<u32>();
    var sum2 = vec4<u32>();
    var sum3 = vec4<u32>();
    var top = vec4<u32>();
    var nonzero = vec4<u32>();
    var worst = vec4<f32>();
    var largest = vec4<u32>();
{% if masked %}
    var bits = 0u;
{% endif %}
    for (var i = first; i < stop; i++) {
        let v = load(i);
        let s = symbols(v, i, mode, scale, left);
        // Sums wrap only where the largest symbol is too large for a code.
        let u1 = s.u >> vec4(1u);
        let u2 = u1 >> vec4(1u);
        sum0 += s.u;
        sum1 += u1;
        sum2 += u2;
        sum3 += u2 >> vec4(1u);
        top = max(top, s.u);
        // Comparisons of floats may miss what is not finite.
        let magnitude = bitcast<vec4<u32>>(v) & vec4(0x7fffffffu);
        largest = max(largest, magnitude);
{% if masked %}
        let ones = select(vec4<u32>(), vec4(1u, 2u, 4u, 8u), s.open);
        bits = select(bits, 0u, i % 8u == 0u) | (total(ones) << (4u * (i % 8u)));
        if (i % 8u == 7u) | (i + 1u == stop) {
            mask[i / 8u] = bits;
        }
        worst = max(worst, abs(v - s.back));
        nonzero += select(vec4<u32>(), vec4(1u), s.open);
{% else %}
        worst = max(worst, select(vec4<f32>(), abs(v - s.back), s.open));
        nonzero += min(magnitude, vec4(1u));
{% endif %}
    }
    return Block(
        vec4(total(sum0), total(sum1), total(sum2), total(sum3)),
        {{ "total(nonzero)" if masked else "min(4u * stop, p.elements) - 4u * first" }},
        greatest(top),
        total(nonzero),
        max(max(worst.x, worst.y), max(worst.z, worst.w)),
        greatest(largest),
    );
}

// The k of a block and how many bits its codes take with it, at most: the best of 0 to 3, or the logarithm of a large mean,
// or more where the largest symbol would not fit 16 bits.
fn choose(block: Block) -> vec2<u32> {
    let n = block.count;
    let bits = block.sums + vec4(n, 2u * n, 3u * n, 4u * n);
    var best = vec2(0u, bits.x);
    best = select(best, vec2(1u, bits.y), bits.y < best.y);
    best = select(best, vec2(2u, bits.z), bits.z < best.y);
    best = select(best, vec2(3u, bits.w), bits.w < best.y);
    let mean = block.sums.x / max(n, 1u);
    let b = firstLeadingBit(block.top | 1u);
    let fits = select(select(select(b, b - 1u, b <= 13u), b - 2u, b <= 10u), 0u, b <= 3u);
    let k = min(max(max(best.x, select(0u, firstLeadingBit(mean | 1u), mean >= 16u)), fits), 14u);
    let above = max(k, 3u) - 3u;
    let exact = select(select(select(bits.w, bits.z, k == 2u), bits.y, k == 1u), bits.x, k == 0u);
    return vec2(k, select((block.sums.w >> above) + n * (k + 1u), exact, k <= 3u));
}

@compute @workgroup_size({{ width }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = group_index(group, groups) * {{ width }}u + lane;
    if tile >= p.tiles {
        return;
    }
    let step = bitcast<f32>(words[0]);
    let scale = Scale(step, select(0.0, 1.0 / step, step > 0.0), words[1] + p.first);
    let bound = bitcast<f32>(atomicLoad(&state[BOUND]));
    let here = tile_at(tile);
    let start = here.start;
    let stop = here.stop;
    let block_vectors = block_size();

    var mode = PLAIN;
{% if not masked %}
    // The last block is the sample that chooses the prediction.
    let sample = start + (stop - 1u - start) / block_vectors * block_vectors;
    var sums = vec2<u32>();
    var before = 0;
    for (var i = sample; i < stop; i++) {
        let q = level(load(i), dither(i, scale.start), scale.inverse);
        sums += vec2(total(vec4<u32>(abs(q))), total(vec4<u32>(abs(q - vec4(before, q.xyz)))));
        before = q.w;
    }
    mode = select(PLAIN, DELTA, sums.y < sums.x);
{% endif %}

    // k + 1 of each block, 0 for a block of zeros.
    var parameters = 0u;
    var bits = 0u;
    var nonzero = 0u;
    var worst = 0.0;
    var largest = 0u;
    var top = 0u;
{% if not masked %}
    // A second time where there are zeros: without dither they come back as zeros.
    for (var again = true; again;) {
        parameters = 0u;
        bits = 0u;
        nonzero = 0u;
        worst = 0.0;
        top = 0u;
{% endif %}
    var looking = 0;
    var shift = 0u;
    for (var first = start; first < stop; first += block_vectors) {
        let block = look(first, min(first + block_vectors, stop), mode, scale, &looking);
        let chosen = choose(block);
        let coded = block.top > 0u;
        parameters |= select(0u, chosen.x + 1u, coded) << shift;
        shift += 4u;
        bits += select(0u, chosen.y, coded);
        nonzero += block.nonzero;
        worst = max(worst, block.worst);
        largest = max(largest, block.largest);
        top = max(top, block.top);
    }
{% if not masked %}
        again = (mode != ROUNDED) & (nonzero < min(4u * stop, p.elements) - 4u * start);
        mode = select(mode, ROUNDED, again);
    }
{% endif %}
    let raw_size = 4u * (stop - start);
    let sound = (largest < 0x7f800000u) & (worst <= bound) & (top < LARGEST_SYMBOL);
    let raw = (!sound) | ((bits + 31u) / 32u >= raw_size);
    let size = select((bits + 31u) / 32u, raw_size, raw);
    atomicAdd(&state[NONZERO], nonzero);
    atomicMax(&state[WORST], select(bitcast<u32>(worst), 0u, raw));
    atomicMax(&state[LARGEST], select(0u, largest, largest < 0x7f800000u));
    atomicAdd(&state[RAW_TILES], u32(raw));
    let place = atomicAdd(&state[USED], size);
    if place + size > p.capacity {
        atomicOr(&status[STATUS_STOP], STOP_OVERFLOW);
        words[head_of(tile)] = LOST;
        return;
    }
    words[head_of(tile)] = place | (select(mode, RAW, raw) << 30u);
    words[head_of(tile) + 1u] = parameters;
    var at = p.payload + place;
    if raw {
        for (var i = start; i < stop; i++) {
            let v = bitcast<vec4<u32>>(load(i));
            words[at] = v.x;
            words[at + 1u] = v.y;
            words[at + 2u] = v.z;
            words[at + 3u] = v.w;
            at += 4u;
        }
        return;
    }
    var left = 0;
    var buffer = 0u;
    var filled = 0u;
    var written = 0u;
    let last = at + size - 1u;
    // Zeros alone take no words.
    let end = select(stop, start, size == 0u);
    for (var first = start; first < end; first += block_vectors) {
        let parameter = parameters & 15u;
        parameters >>= 4u;
        let k = max(parameter, 1u) - 1u;
        let lower = vec4((1u << k) - 1u);
        for (var i = first; i < min(first + block_vectors, stop); i++) {
            let s = symbols(load(i), i, mode, scale, &left);
            let long = s.u >> vec4(k);
            // As many zeros as long says, a one, the k lower bits; nothing for what is not coded.
            let coded = s.open & vec4(parameter > 0u);
            let length = select(vec4<u32>(), long + parameter, coded);
            let bit = select(vec4<u32>(), ((s.u & lower) << vec4(1u)) | vec4(1u), coded) << long;
            // Two codes are at most 32 bits.
            let pair = bit.xz | (bit.yw << length.xz);
            let pair_length = length.xz + length.yw;
{% for c in "xy" %}
            {
                buffer |= pair.{{ c }} << filled;
                // A word is written after each pair, whether or not something was added: a store that depends on the
                // elements costs more. Behind the last word lie those of another tile; there the last is written again.
                written = select(buffer, written, at > last);
                words[min(at, last)] = written;
                filled += pair_length.{{ c }};
                let next = filled >= 32u;
                at += u32(next);
                filled &= 31u;
                buffer = select(buffer, select(0u, pair.{{ c }} >> (pair_length.{{ c }} - filled), filled > 0u), next);
            }
{% endfor %}
        }
    }
    // What the last pair left over.
    if (size > 0u) & (at <= last) {
        words[at] = buffer;
    }
}
