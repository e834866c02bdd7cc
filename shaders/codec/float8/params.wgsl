{# Params of both directions. First the scale of each group, then the codes of all elements in order, four in a word.
   Elements are worked on four at a time.
   Variables: group. -#}
struct Params {
    elements: u32,
    groups: u32,
}

// Vectors in a group.
const GROUP = {{ group // 4 }}u;
