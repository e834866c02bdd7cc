{# Params of up-sampling, and what an output reads on one axis: `first` and the element behind it, the latter with weight
   `share`; without `bilinear` the first alone.
   Variables: bilinear. -#}
struct Params {
    count: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
}

struct Read {
    first: u32,
    second: u32,
    share: f32,
}

{% if bilinear %}
// (o + ½) · inputs / outputs − ½ = ((2·o + 1) · inputs − outputs) / (2 · outputs), at least 0, in whole numbers: what is
// divided.
fn position_of(o: u32, inputs: u32, outputs: u32) -> u32 {
    let above = (2u * o + 1u) * inputs;
    return above - min(above, outputs);
}

{% endif %}
fn read(o: u32, inputs: u32, outputs: u32) -> Read {
{% if bilinear %}
    let position = position_of(o, inputs, outputs);
    let first = position / (2u * outputs);
    let share = f32(position % (2u * outputs)) / f32(2u * outputs);
    return Read(first, min(first + 1u, inputs - 1u), share);
{% else %}
    let first = o * inputs / outputs;
    return Read(first, first, 0.0);
{% endif %}
}

// The weight of element i in what an output reads.
fn weight(i: u32, r: Read) -> f32 {
    return select(0.0, 1.0 - r.share, r.first == i) + select(0.0, r.share, r.second == i);
}

// The outputs that may read element i, from x to before y.
fn readers(i: u32, inputs: u32, outputs: u32) -> vec2<u32> {
{% if bilinear %}
    // Positions above i − 1 and below i + 1: at most ⌈2 · outputs / inputs⌉ of them. The last element serves all behind it.
    let begin = ((max(2u * i, 1u) - 1u) * outputs + inputs) / (2u * inputs);
    let end = ((2u * i + 3u) * outputs + inputs - 1u) / (2u * inputs);
    return vec2(select(begin, 0u, i == 0u), select(min(end, outputs), outputs, i + 1u == inputs));
{% else %}
    return vec2((i * outputs + inputs - 1u) / inputs, ((i + 1u) * outputs + inputs - 1u) / inputs);
{% endif %}
}
