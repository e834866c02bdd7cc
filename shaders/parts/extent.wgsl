{# Extremes of elements. The kernel includes parts/bits.wgsl. -#}

// The extremes of some elements, and whether all of them are finite.
struct Extent {
    low: f32,
    high: f32,
    finite: bool,
}

const NOTHING = Extent(3.4e38, -3.4e38, true);

fn join(a: Extent, b: Extent) -> Extent {
    return Extent(min(a.low, b.low), max(a.high, b.high), a.finite & b.finite);
}

fn has_range(extent: Extent) -> bool {
    return extent.finite & is_finite(extent.low) & is_finite(extent.high) & is_finite(extent.high - extent.low);
}
