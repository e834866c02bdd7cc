//! Pooling. Max pooling keeps where in its window each maximum was, average pooling keeps nothing.

mod average;
mod max;
pub mod window_index;

pub use average::{AveragePool, GlobalAveragePool};
pub use max::MaxPool;

use crate::ir::{Shape, want};

/// Largest extent and stride of a window: places in it are counted in words of 32 bits, and so are rows and columns of what
/// is padded.
const MOST_EXTENT: usize = (1 << 16) - 1;

/// Windows that slide over a padded plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Extents of a window.
    pub kernel: [usize; 2],
    /// Steps between windows.
    pub stride: [usize; 2],
    /// Elements around the input, at most half a window.
    pub padding: [usize; 2],
}

impl Windows {
    /// The extents of what comes out, one element for each window.
    fn output(&self, input: &Shape) -> Result<[usize; 4], String> {
        let mut extents = input.nchw().ok_or("the input must be N×C×H×W")?;
        for axis in 0..2 {
            let (kernel, stride, padding) = (self.kernel[axis], self.stride[axis], self.padding[axis]);
            want(kernel > 0 && stride > 0, "window and stride must be at least 1")?;
            want(padding <= kernel / 2, "the padding must be at most half a window")?;
            want(kernel <= MOST_EXTENT && stride <= MOST_EXTENT, format!("window and stride go up to {MOST_EXTENT}"))?;
            let padded = extents[axis + 2] + 2 * padding;
            want(padded >= kernel, "the window does not fit into the padded input")?;
            extents[axis + 2] = (padded - kernel) / stride + 1;
        }
        Ok(extents)
    }
}
