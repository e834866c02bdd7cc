{# Params of average pooling over windows, and which windows meet which elements. `window_*` gives the elements in the
   window of an output, `over_*` the windows over an element, from `first` to before `end`.
   Variables: adaptive; without it kernel_height, kernel_width, stride_y, stride_x, pad_y, pad_x, which are constants so
   that nothing is divided by a variable. -#}
struct Params {
    count: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
}

struct Span {
    first: u32,
    end: u32,
}

{% if adaptive %}
// ⌊o·inputs/outputs⌋ to ⌈(o + 1)·inputs/outputs⌉; the windows over an element follow the same rule the other way round.
fn share(o: u32, inputs: u32, outputs: u32) -> Span {
    return Span(o * inputs / outputs, ((o + 1u) * inputs + outputs - 1u) / outputs);
}

fn window_y(o: u32) -> Span {
    return share(o, p.height, p.out_height);
}

fn window_x(o: u32) -> Span {
    return share(o, p.width, p.out_width);
}

fn over_y(i: u32) -> Span {
    return share(i, p.out_height, p.height);
}

fn over_x(i: u32) -> Span {
    return share(i, p.out_width, p.width);
}
{% else %}
fn window(o: u32, inputs: u32, size: u32, stride: u32, pad: u32) -> Span {
    let start = o * stride;
    return Span(max(start, pad) - pad, min(start + size, inputs + pad) - pad);
}

// The windows that start at most one window before the element.
fn over(i: u32, outputs: u32, size: u32, stride: u32, pad: u32) -> Span {
    let at = i + pad;
    return Span((max(at + 1u, size) - size + stride - 1u) / stride, min(at / stride + 1u, outputs));
}

fn window_y(o: u32) -> Span {
    return window(o, p.height, {{ kernel_height }}u, {{ stride_y }}u, {{ pad_y }}u);
}

fn window_x(o: u32) -> Span {
    return window(o, p.width, {{ kernel_width }}u, {{ stride_x }}u, {{ pad_x }}u);
}

fn over_y(i: u32) -> Span {
    return over(i, p.out_height, {{ kernel_height }}u, {{ stride_y }}u, {{ pad_y }}u);
}

fn over_x(i: u32) -> Span {
    return over(i, p.out_width, {{ kernel_width }}u, {{ stride_x }}u, {{ pad_x }}u);
}
{% endif %}
