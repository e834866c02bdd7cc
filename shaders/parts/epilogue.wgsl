{# What is done with an element before it is written, if anything is. Then `kind` is set: to an activation
   (parts/activated.wgsl), or to none. With `add` the bias of the element's channel is added first.
     fn shift_of(channel: u32) -> f32             what is added
     fn epilogue(v: Packet, shift: Packet) -> Packet    what is written
   If nothing follows, there is no trace of this in the kernel. Where `kind` is set, the including kernel has `low` and `high`
   last in its Params. It sets `last`, the number of its last binding, behind which the bias lies, and `vector`: whether a Packet has four
   elements. Variables: kind, add. -#}
{% if kind is defined %}
alias Packet = {{ "vec4<f32>" if vector else "f32" }};
{% if add %}
@group(0) @binding({{ last + 1 }}) var<storage, read_write> bias: array<f32>;
{% endif %}

{% if kind != "none" %}
{% include "parts/activated.wgsl" %}

{% endif %}
fn shift_of(channel: u32) -> f32 {
    return {{ "bias[channel]" if add else "0.0" }};
}

fn epilogue(v: Packet, shift: Packet) -> Packet {
{% set sum = "v + shift" if add else "v" %}
    return {{ sum if kind == "none" else "activated(" ~ sum ~ ")" }};
}

{% endif %}
