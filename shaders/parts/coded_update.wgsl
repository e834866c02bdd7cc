{# The entry of kernels of optimisers with coded state, see parts/optimizer.wgsl: a block is decoded, moved with its parameter, and
   encoded again. p.count are blocks, p.elements elements, p.first the elements of the whole parameter in front of this one, p.stream what
   random numbers are drawn for.
   Dispatch: with tiles one workgroup of 64 for each block, an invocation for each four elements; without one invocation of 8 for each
   block, which finds the largest first. -#}
{% include "parts/grid.wgsl" %}

{% include "parts/random.wgsl" %}

{% include "parts/moments.wgsl" %}

// The moments of vector i, which lies in this block, after the step; nothing beyond the last element.
fn next_state(i: u32, block: u32, g: vec4<f32>) -> State {
    var state: State;
    state.first = decoded_{{ "square" if square == 0 else "signed" }}(state0[i], scales[{{ states }}u * block]);
{% if states > 1 %}
    state.second = decoded_{{ "square" if square == 1 else "signed" }}(state1[i], scales[{{ states }}u * block + 1u]);
{% endif %}
    let here = vec4(4u * i) + vec4(0u, 1u, 2u, 3u) < vec4(p.elements);
    let after = next(state, g);
    return State(select(vec4<f32>(), after.first, here), select(vec4<f32>(), after.second, here));
}

// Random words i to i + 3 of a stream.
fn words4(stream: Stream, i: u32) -> vec4<u32> {
    let at = vec4(i) + vec4(0u, 1u, 2u, 3u);
    return vec4(
        hash(stream.start + at.x * stream.stride),
        hash(stream.start + at.y * stream.stride),
        hash(stream.start + at.z * stream.stride),
        hash(stream.start + at.w * stream.stride),
    );
}

// What codes are made with: the largest magnitude of each moment in the block, as bits, and the random numbers of each.
struct Coder {
    largest: vec2<u32>,
    streams: array<Stream, 2>,
}

fn coder_of(largest: vec2<u32>) -> Coder {
    let seed = control[CONTROL_SEED];
    let step = control[CONTROL_STEP];
    return Coder(largest, array(stream_of(p.stream, seed, step), stream_of(p.stream + 1u, seed, step)));
}

fn store_codes(i: u32, state: State, coder: Coder) {
    let number = p.first + 4u * i;
    state0[i] = encoded_{{ "square" if square == 0 else "signed" }}(state.first, scale_of(coder.largest.x), words4(coder.streams[0], number));
{% if states > 1 %}
    state1[i] = encoded_{{ "square" if square == 1 else "signed" }}(state.second, scale_of(coder.largest.y), words4(coder.streams[1], number));
{% endif %}
}

fn store_scales(block: u32, largest: vec2<u32>) {
    scales[{{ states }}u * block] = scale_of(largest.x);
{% if states > 1 %}
    scales[{{ states }}u * block + 1u] = scale_of(largest.y);
{% endif %}
}

fn larger(largest: vec2<u32>, state: State) -> vec2<u32> {
    return max(largest, vec2(largest_bits(state.first), largest_bits(state.second)));
}

{% if tiles %}
var<workgroup> lanes: array<vec2<u32>, BLOCK_WORDS>;

@compute @workgroup_size(BLOCK_WORDS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group_index(group, groups);
    let i = block * BLOCK_WORDS + lane;
    let here = (4u * i < p.elements) & !update_skipped();
    var state: State;
    var before = vec4<f32>();
    var g = vec4<f32>();
    if here {
        before = w[i];
        g = gradient_of(i, before);
        state = next_state(i, block, g);
    }
    lanes[lane] = larger(vec2<u32>(), state);
    for (var width = BLOCK_WORDS / 2u; width > 0u; width >>= 1u) {
        workgroupBarrier();
        if lane < width {
            lanes[lane] = max(lanes[lane], lanes[lane + width]);
        }
    }
    workgroupBarrier();
    if here {
        w[i] = moved(before, g, state, bitcast<f32>(control[{{ learning_rate }}]));
        store_codes(i, state, coder_of(lanes[0]));
        if lane == 0u {
            store_scales(block, lanes[0]);
        }
    }
}
{% else %}
@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group_index(group, groups) * 8u + lane;
    if (block >= p.count) | update_skipped() {
        return;
    }
    let start = block * BLOCK_WORDS;
    let end = min(start + BLOCK_WORDS, (p.elements + 3u) / 4u);
    var largest = vec2<u32>();
    for (var i = start; i < end; i++) {
        largest = larger(largest, next_state(i, block, gradient_of(i, w[i])));
    }
    let coder = coder_of(largest);
    for (var i = start; i < end; i++) {
        let before = w[i];
        let g = gradient_of(i, before);
        let state = next_state(i, block, g);
        w[i] = moved(before, g, state, bitcast<f32>(control[{{ learning_rate }}]));
        store_codes(i, state, coder);
    }
    store_scales(block, largest);
}
{% endif %}
