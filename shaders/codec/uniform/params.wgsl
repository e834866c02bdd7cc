{# Params of both directions, and what they share. First a word of range for each group, then the codes of all elements
   in order; a group's codes are whole words. Elements are worked on four at a time.
   Variables: bits, group. -#}
{% set vector = true %}
struct Params {
    elements: u32,
    groups: u32,
    stream: u32,
    // The number of the first element: those of the whole in front of a part.
    first: u32,
}

{% include "parts/packet.wgsl" %}

{% include "parts/codes.wgsl" %}

// Vectors in a group, and in a word of codes.
const GROUP = {{ group // 4 }}u;
const WORD = {{ 8 // bits }}u;
