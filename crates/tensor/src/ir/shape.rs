//! Shapes: the extents of a value, outermost first.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Most elements of a value. Kernels count them in words of 32 bits, and past the end: folding a grid adds up to a 65,535th
/// of its workgroups, and the last of them up to 2^15 elements.
pub const MOST_ELEMENTS: usize = u32::MAX as usize - (1 << 17);

/// The extents of a value, outermost (the batch) first; elements lie in row-major order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// A shape from its extents. An empty list is a scalar.
    pub fn new(extents: impl Into<Vec<usize>>) -> Self {
        Self(extents.into())
    }

    /// The extents, outermost first.
    pub fn extents(&self) -> &[usize] {
        &self.0
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Number of elements. It is that of a [countable](Self::is_countable) shape, as all values of a graph have; it
    /// saturates for others.
    pub fn elements(&self) -> usize {
        if self.0.contains(&0) { 0 } else { self.0.iter().fold(1, |product, &extent| product.saturating_mul(extent)) }
    }

    /// Whether a value may have this shape: kernels can count its elements. Of an empty one all extents but 0 count, so that
    /// no product of extents of a value overflows.
    pub fn is_countable(&self) -> bool {
        let product = self.0.iter().fold(1, |product: usize, &extent| product.saturating_mul(extent.max(1)));
        product <= MOST_ELEMENTS
    }

    /// The extents as N, C, H, W if there are four of them.
    pub fn nchw(&self) -> Option<[usize; 4]> {
        self.0.as_slice().try_into().ok()
    }

    /// The extents as rows and columns if there are two of them.
    pub fn matrix(&self) -> Option<[usize; 2]> {
        self.0.as_slice().try_into().ok()
    }

    /// Samples, channels and elements per channel: N, C and H·W (1 for a matrix). `None` below two axes.
    pub fn planes(&self) -> Option<[usize; 3]> {
        match self.0.as_slice() {
            [n, c, rest @ ..] => Some([*n, *c, rest.iter().fold(1, |product, &extent| product.saturating_mul(extent))]),
            _ => None,
        }
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(extents: [usize; N]) -> Self {
        Self(extents.to_vec())
    }
}

impl From<&[usize]> for Shape {
    fn from(extents: &[usize]) -> Self {
        Self(extents.to_vec())
    }
}

impl std::ops::Index<usize> for Shape {
    type Output = usize;
    fn index(&self, axis: usize) -> &usize {
        &self.0[axis]
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("scalar");
        }
        for (axis, extent) in self.0.iter().enumerate() {
            if axis > 0 {
                f.write_str("×")?;
            }
            write!(f, "{extent}")?;
        }
        Ok(())
    }
}
