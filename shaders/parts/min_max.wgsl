{# Extremes of elements. The kernel includes parts/bits.wgsl. -#}

// The extremes of some elements, and whether all of them are finite.
struct MinMax {
    low: f32,
    high: f32,
    finite: bool,
}

const NOTHING = MinMax(3.4e38, -3.4e38, true);

fn join(a: MinMax, b: MinMax) -> MinMax {
    return MinMax(min(a.low, b.low), max(a.high, b.high), a.finite & b.finite);
}

fn has_range(min_max: MinMax) -> bool {
    return min_max.finite & is_finite(min_max.low) & is_finite(min_max.high) & is_finite(min_max.high - min_max.low);
}
