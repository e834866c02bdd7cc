{# What is done with an element before it is written, if anything is: then `kind` is set, to an activation (parts/activated.wgsl)
   or none. With `add`, the bias of the element's channel is added first; it lies behind the kernel's own bindings.
     fn shift_of(channel: u32) -> f32                 what is added
     fn followed(v: Lane, shift: Lane) -> Lane        what is written
   The including kernel has `low` and `high` last in its Params, sets `last`, the number of its last binding, and `vector`:
   whether a Lane has four elements. Variables: kind, add. -#}
{% if kind is defined %}
alias Lane = {{ "vec4<f32>" if vector else "f32" }};
{% if add %}
@group(0) @binding({{ last + 1 }}) var<storage, read_write> bias: array<f32>;
{% endif %}

{% if kind != "none" %}
{% include "parts/activated.wgsl" %}

{% endif %}
fn shift_of(channel: u32) -> f32 {
    return {{ "bias[channel]" if add else "0.0" }};
}

fn followed(v: Lane, shift: Lane) -> Lane {
{% set sum = "v + shift" if add else "v" %}
    return {{ sum if kind == "none" else "activated(" ~ sum ~ ")" }};
}

{% endif %}
