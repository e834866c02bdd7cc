//! The program `frugal`.

fn main() {}
