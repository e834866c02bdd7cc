//! Functions of one element.

/// y = f(x), element by element; a NaN stays a NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// max(x, 0). Keeps whether y > 0.
    Relu,
    /// x above zero, `slope` · x below. Keeps whether y > 0.
    LeakyRelu {
        /// From 0 to 1, so that the sign of y is that of x and errors do not grow.
        slope: f32,
    },
    /// min(max(x, low), high): ReLU6 from 0 to 6 (arXiv 1704.04861), Hardtanh from −1 to 1. Keeps whether low < y < high.
    Clamp {
        /// The least y.
        low: f32,
        /// The largest y.
        high: f32,
    },
    /// σ(x) = 1 / (1 + e⁻ˣ). Keeps y.
    Sigmoid,
    /// The hyperbolic tangent. Keeps y.
    Tanh,
    /// x · Φ(x), with the normal distribution by erf, not by its approximation with tanh (arXiv 1606.08415); PyTorch's default.
    /// Keeps x.
    Gelu,
    /// x · σ(x), also known as swish (arXiv 1710.05941). Keeps x.
    Silu,
}

impl Activation {
    /// Whether it never decreases. Then max pooling may as well come before it.
    pub fn never_decreases(self) -> bool {
        !matches!(self, Self::Gelu | Self::Silu)
    }
}

/// ReLU6.
pub const RELU6: Activation = Activation::Clamp { low: 0.0, high: 6.0 };
