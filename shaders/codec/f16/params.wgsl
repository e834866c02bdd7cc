{# Params of both directions: elements, and vectors of four of them. -#}
struct Params {
    elements: u32,
    vectors: u32,
}
