{# Params of both directions. A plane takes `head + codes` words: one of range, the means of its blocks two to a word, then
   the codes. -#}
    planes: u32,
    height: u32,
    width: u32,
    block: u32,
    across: u32,
    head: u32,
    codes: u32,
