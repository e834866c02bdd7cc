//! What an adapter can do at all.

use super::Spread;
use serde::{Deserialize, Serialize};

/// What the adapter can do at all.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Roofline {
    /// Copies, the smallest first.
    pub copies: Vec<Copied>,
    /// Multiply-adds in registers alone.
    pub multiply_adds: Rate,
    /// The best of some matrix products.
    pub product: Rate,
}

/// A copy of a value.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Copied {
    /// Read and written.
    pub bytes: u64,
    /// Of one copy, its dispatch included.
    pub milliseconds: Spread,
}

/// A speed of arithmetic.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rate {
    /// What did it.
    pub by: String,
    /// At its best; a multiply-add is two operations.
    pub gflops: f64,
}

/// Which of the two an operator cannot beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// Copying as many bytes as it reads and writes.
    Memory,
    /// As many multiply-adds in registers.
    Arithmetic,
}

impl Roofline {
    /// The milliseconds that nothing with so many bytes and multiply-adds gets below, and what they go to.
    pub fn of(&self, bytes: u64, multiply_adds: u64) -> (f64, Bound) {
        let memory = self.copying(bytes);
        let arithmetic = 2e-6 * multiply_adds as f64 / self.multiply_adds.gflops;
        if arithmetic > memory { (arithmetic, Bound::Arithmetic) } else { (memory, Bound::Memory) }
    }

    /// The milliseconds of a copy that reads and writes so many bytes: between those that were measured in a straight line,
    /// beyond them at the nearest one's pace.
    fn copying(&self, bytes: u64) -> f64 {
        let point = |copied: &Copied| (copied.bytes as f64, copied.milliseconds.least);
        let bytes = bytes as f64;
        let points: Vec<(f64, f64)> = self.copies.iter().map(point).collect();
        let (Some(&smallest), Some(&largest)) = (points.first(), points.last()) else { return 0.0 };
        if bytes <= smallest.0 {
            return smallest.1;
        }
        let between = points.windows(2).find(|pair| bytes <= pair[1].0);
        match between {
            Some(pair) => pair[0].1 + (pair[1].1 - pair[0].1) * (bytes - pair[0].0) / (pair[1].0 - pair[0].0),
            None => largest.1 * bytes / largest.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_the_slower_of_copying_and_arithmetic() {
        let copied = |bytes, milliseconds| Copied { bytes, milliseconds: Spread::of(vec![milliseconds]) };
        let rate = |gflops| Rate { by: String::new(), gflops };
        let copies = vec![copied(1000, 1.0), copied(3000, 2.0), copied(6000, 4.0)];
        let roofline = Roofline { copies, multiply_adds: rate(100.0), product: rate(50.0) };
        // A small copy costs what a dispatch does, a large one what the largest did for each byte.
        for (bytes, milliseconds) in [(1, 1.0), (1000, 1.0), (2000, 1.5), (3000, 2.0), (4500, 3.0), (12_000, 8.0)] {
            assert_eq!(roofline.of(bytes, 0), (milliseconds, Bound::Memory), "{bytes}");
        }
        // 10⁸ multiply-adds at 100 GFLOP/s take 2 ms.
        assert_eq!(roofline.of(1000, 100_000_000), (2.0, Bound::Arithmetic));
        assert_eq!(roofline.of(6000, 100_000_000), (4.0, Bound::Memory));
    }
}
