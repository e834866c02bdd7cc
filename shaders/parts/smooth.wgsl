{# Functions that smooth activations share. None overflows, and a NaN stays a NaN. Includes parts/packet.wgsl before. -#}

// σ(x) = 1 / (1 + e⁻ˣ), from e⁻|x|.
fn logistic(x: Packet) -> Packet {
    let e = exp(-abs(x));
    return select(Packet(1.0), e, x < Packet()) / (1.0 + e);
}

// tanh x = ±(1 − e⁻²|x|) / (1 + e⁻²|x|); by its series where the difference would cancel.
fn hyperbolic_tangent(x: Packet) -> Packet {
    let e = exp(-2.0 * abs(x));
    let far = select(Packet(1.0), Packet(-1.0), x < Packet()) * (1.0 - e) / (1.0 + e);
    let s = x * x;
    let near = x * (1.0 - s * (1.0 / 3.0 - s * (2.0 / 15.0 - s * (17.0 / 315.0 - s * (62.0 / 2835.0)))));
    return select(far, near, abs(x) < Packet(0.25));
}

// Φ(x), the share of a normal distribution below x: erfc by Abramowitz and Stegun 7.1.26, right to 1e-7.
fn normal_share(x: Packet) -> Packet {
    let t = 1.0 / (1.0 + 0.3275911 * 0.70710678 * abs(x));
    let series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    let tail = 0.5 * series * exp(-0.5 * x * x);
    return select(1.0 - tail, tail, x < Packet());
}

// The density of a normal distribution at x.
fn normal_density(x: Packet) -> Packet {
    return 0.39894228 * exp(-0.5 * x * x);
}
