{# Params of all implicit-GEMM convolutions; x is samples × channels × height × width, w is filters × channels of a group ×
   kernel, y is samples × filters × out_height × out_width.
   Variables: pointwise (if it is set, the kernel is 1×1, the stride 1 and nothing is padded: a plain product), dilated (if it is
   set, steps between taps are not all 1), grouped (if it is set, there are several groups: then every group is a product of
   its own, and the cores say in `member` which). -#}
struct Params {
    rows: u32,
    columns: u32,
    depth: u32,
    chunk: u32,
    channels: u32,
    height: u32,
    width: u32,
    filters: u32,
    kernel_height: u32,
    kernel_width: u32,
    out_height: u32,
    out_width: u32,
    stride_y: u32,
    stride_x: u32,
    pad_y: u32,
    pad_x: u32,
    samples: u32,
{% if dilated is defined %}
    dilation_y: u32,
    dilation_x: u32,
{% endif %}
{% if grouped is defined %}
    group_channels: u32,
    group_filters: u32,
    parts: u32,
{% endif %}
{% if kind is defined %}
    low: f32,
    high: f32,
{% endif %}
}
{% if grouped is defined %}

var<private> member: u32;
{% endif %}
{% if pointwise is defined %}

// How far into the values.
alias Place = u32;
{% else %}

// A plane of the values, and a row and a column of it, or what is to be added to them. Above and left of the plane they wrap
// to huge numbers.
struct Place {
    plane: u32,
    y: u32,
    x: u32,
}
{% endif %}
