// q = round(x / step), predicted from its neighbours, in Rice codes; see crates/tensor/src/codec/error_bounded/mod.rs for
// layout and promise. Masked: only what is above zero is coded, as ⌊x / step⌋.
// Each tile is walked three times by one invocation: to choose k for each block, to count its bits, and, once one atomic
// addition has found it a place, to write them.
// Variables: masked, width. Dispatch: one invocation of {{ width }} for each tile.
{% include "codec/error_bounded/params.wgsl" %}

{% include "parts/record.wgsl" %}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> status: array<atomic<u32>>;
@group(0) @binding(3) var<storage, read_write> record: array<atomic<u32>>;
@group(0) @binding(4) var<storage, read_write> words: array<u32>;

{% include "parts/grid.wgsl" %}

const OVERFLOW = 2u;
// Most ones of a code, so that a code with its k ≤ 14 bits fits a word.
const LONGEST = 15u;

// What a block's codes depend on.
struct Block {
    sum: u32,
    count: u32,
    top: u32,
    nonzero: u32,
    worst: f32,
    // The largest magnitude, as bits.
    largest: u32,
    // How far elements lie in their steps, added up.
    rest: f32,
    sound: bool,
}

struct Symbols {
    u: vec4<u32>,
    open: vec4<bool>,
    q: vec4<i32>,
}

fn load(i: u32) -> vec4<f32> {
    return select(vec4<f32>(), x[i], lanes_of(i) < vec4(p.elements));
}

fn total(v: vec4<u32>) -> u32 {
    return (v.x + v.y) + (v.z + v.w);
}

fn symbols(v: vec4<f32>, i: u32, start: u32, mode: u32, inverse: f32, walk: ptr<function, Walk>) -> Symbols {
    let q = level(v, inverse);
{% if masked %}
    let open = v > vec4<f32>();
    return Symbols(select(vec4<u32>(), vec4<u32>(q), open), open, q);
{% else %}
    var d = q;
    if mode != PLAIN {
        d -= vec4((*walk).left, q.xyz);
        (*walk).left = q.w;
    }
    if mode == LORENZO {
        var up = vec4<i32>();
        if i >= start + p.row {
            up = level(x[i - p.row], inverse);
        }
        d -= up - vec4((*walk).corner, up.xyz);
        (*walk).corner = up.w;
    }
    // 0, −1, 1, −2 … become 0, 1, 2, 3 …
    let u = bitcast<vec4<u32>>((d << vec4(1u)) ^ (d >> vec4(31u)));
    let open = lanes_of(i) < vec4(p.elements);
    return Symbols(select(vec4<u32>(), u, open), open, q);
{% endif %}
}

// What the codes of a value depend on.
struct Scale {
    step: f32,
    center: f32,
    inverse: f32,
    bound: f32,
}

fn look(first: u32, stop: u32, start: u32, mode: u32, scale: Scale, walk: ptr<function, Walk>) -> Block {
    var sum = vec4<u32>();
    var count = vec4<u32>();
    var top = vec4<u32>();
    var nonzero = vec4<u32>();
    var worst = vec4<f32>();
    var ones = vec4<u32>();
    var rest = vec4<f32>();
    for (var i = first; i < stop; i++) {
        let v = load(i);
        let s = symbols(v, i, start, mode, scale.inverse, walk);
        sum += min(s.u, vec4(0xffffffu));
        count += select(vec4<u32>(), vec4(1u), s.open);
        top = max(top, s.u);
        // What is not coded comes back as zero.
        worst = max(worst, abs(v - select(vec4<f32>(), value_of(s.q, scale.step, scale.center), s.open)));
{% if masked %}
        rest += select(vec4<f32>(), v * scale.inverse - vec4<f32>(s.q), s.open);
{% endif %}
        // Comparisons of floats may miss what is not finite.
        let magnitude = bitcast<vec4<u32>>(v) & vec4(0x7fffffffu);
        ones = max(ones, magnitude);
        nonzero += min(magnitude, vec4(1u));
    }
    let most = max(max(top.x, top.y), max(top.z, top.w));
    let off = max(max(worst.x, worst.y), max(worst.z, worst.w));
    let largest = max(max(ones.x, ones.y), max(ones.z, ones.w));
    let sound = (largest < 0x7f800000u) & (off <= scale.bound) & (most < (16u << 14u));
    return Block(total(sum), total(count), most, total(nonzero), off, largest, (rest.x + rest.y) + (rest.z + rest.w), sound);
}

// 1 + k, or 0 where all symbols are zero: k is the logarithm of their mean, or more if the largest needs it.
fn choose(block: Block) -> u32 {
    let mean = block.sum / max(block.count, 1u);
    let k = min(select(0u, firstLeadingBit(mean), mean > 0u), 14u);
    let least = max(firstLeadingBit(block.top | 1u), 3u) - 3u;
    return select(max(k, least) + 1u, 0u, block.sum == 0u);
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
    let center = bitcast<f32>(words[1]);
    let inverse = select(0.0, 1.0 / step, step > 0.0);
    let bound = bitcast<f32>(atomicLoad(&record[BOUND]));
    let scale = Scale(step, center, inverse, bound);
    let start = tile * TILE;
    let stop = min(start + TILE, (p.elements + 3u) / 4u);

    var mode = PLAIN;
{% if not masked %}
    // The last block is the sample that chooses the prediction.
    let sample = start + (stop - 1u - start) / BLOCK * BLOCK;
    var least = 0xffffffffu;
    for (var candidate = PLAIN; candidate <= select(DELTA, LORENZO, p.row > 0u); candidate++) {
        var walk = Walk();
        let sum = look(sample, stop, start, candidate, scale, &walk).sum;
        mode = select(mode, candidate, sum < least);
        least = min(least, sum);
    }
{% endif %}

    var parameters = 0u;
    var bits = 0u;
    var nonzero = 0u;
    var worst = 0.0;
    var largest = 0u;
    var rest = 0.0;
    var sound = true;
    var looking = Walk();
    var counting = Walk();
    for (var first = start; first < stop; first += BLOCK) {
        let end = min(first + BLOCK, stop);
        let block = look(first, end, start, mode, scale, &looking);
        let parameter = choose(block);
        parameters |= parameter << (4u * ((first - start) / BLOCK));
        nonzero += block.nonzero;
        worst = max(worst, block.worst);
        largest = max(largest, block.largest);
        rest += block.rest;
        sound &= block.sound;
        // A block of zeros is walked too where its levels predict those of the next.
        let k = vec4(max(parameter, 1u) - 1u);
        var long = vec4<u32>();
        for (var i = first; i < end; i++) {
            let s = symbols(load(i), i, start, mode, inverse, &counting);
            long += min(s.u, vec4(0xffffffu)) >> k;
        }
        bits += select(total(long) + block.count * (k.x + 1u), 0u, parameter == 0u);
    }
    let raw = 4u * (stop - start);
    var size = (bits + 31u) / 32u;
    if (!sound) | (size >= raw) {
        mode = RAW;
        size = raw;
        worst = 0.0;
        atomicAdd(&record[RAW_TILES], 1u);
    }
    atomicAdd(&record[NONZERO], nonzero);
    atomicMax(&record[WORST], bitcast<u32>(worst));
    atomicMax(&record[LARGEST], select(0u, largest, largest < 0x7f800000u));
{% if masked %}
    // In sixteenths: a sum of words has the same value in any order.
    atomicAdd(&record[REST], u32(round(16.0 * select(0.0, rest, sound))));
{% endif %}
    let place = atomicAdd(&record[USED], size);
    if place + size > p.capacity {
        atomicOr(&status[0], OVERFLOW);
        words[HEAD + 2u * tile] = LOST;
        return;
    }
    words[HEAD + 2u * tile] = place | (mode << 30u);
    words[HEAD + 2u * tile + 1u] = parameters;
    var at = p.payload + place;
    if mode == RAW {
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
    var walk = Walk();
    var buffer = 0u;
    var filled = 0u;
    for (var first = start; first < stop; first += BLOCK) {
        let parameter = (parameters >> (4u * ((first - start) / BLOCK))) & 15u;
        let k = max(parameter, 1u) - 1u;
        for (var i = first; i < min(first + BLOCK, stop); i++) {
            let s = symbols(load(i), i, start, mode, inverse, &walk);
            let long = s.u >> vec4(k);
            // As many zeros as long says, a one, the k lower bits.
            let code = ((s.u & vec4((1u << k) - 1u)) << (long + 1u)) | (vec4(1u) << long);
            let length = select(vec4<u32>(), long + 1u + k, s.open & vec4(parameter > 0u));
{% for c in "xyzw" %}
            buffer |= select(0u, code.{{ c }} << filled, length.{{ c }} > 0u);
            filled += length.{{ c }};
            if filled >= 32u {
                words[at] = buffer;
                at++;
                filled -= 32u;
                buffer = select(0u, code.{{ c }} >> (length.{{ c }} - filled), filled > 0u);
            }
{% endfor %}
        }
    }
    if filled > 0u {
        words[at] = buffer;
    }
}
