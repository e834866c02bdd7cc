//! Moments in 8 bits as `frugal_tensor::ops::optimizer` keeps them, in f64: decoding, and the levels around a number.

use std::sync::LazyLock;

/// The two maps from codes to fractions of a block's scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MomentMap {
    /// Of moments with a sign.
    Signed,
    /// Of means of squares.
    Square,
}

impl MomentMap {
    /// The fraction of the scale that a code stands for.
    pub fn fraction(self, code: u8) -> f64 {
        match self {
            Self::Signed => {
                let sign = if code & 0x80 == 0 { 1.0 } else { -1.0 };
                let q = u32::from(code & 0x7f);
                if q == 0 {
                    return 0.0;
                }
                let i = q.ilog2();
                let share = f64::from(q - (1 << i) + 1) / f64::from(1 << i);
                sign * 8f64.powi(i as i32 - 6) * (0.125 + 0.875 * share)
            }
            Self::Square if code == 0 => 0.0,
            Self::Square => {
                let below = 255 - i32::from(code);
                // Eight levels in each octave: 1, then 15/16, 14/16 … of it.
                let (octave, step) = ((below + 7) / 8, (8 - below % 8) % 8);
                2f64.powi(-octave) * (1.0 + f64::from(step) / 8.0)
            }
        }
    }

    /// All fractions, ascending.
    fn levels(self) -> &'static [f64] {
        static SIGNED: LazyLock<Vec<f64>> = LazyLock::new(|| ascending(MomentMap::Signed));
        static SQUARE: LazyLock<Vec<f64>> = LazyLock::new(|| ascending(MomentMap::Square));
        match self {
            Self::Signed => &SIGNED,
            Self::Square => &SQUARE,
        }
    }

    /// The elements of codes, four to a word, with a scale for each of their blocks.
    pub fn decode(self, codes: &[u32], scales: &[f64], block: usize) -> Vec<f64> {
        let bytes = codes.iter().flat_map(|word| word.to_le_bytes());
        bytes.enumerate().map(|(i, code)| self.fraction(code) * scales[i / block]).collect()
    }

    /// The fractions between which this one is rounded; those that are not zero never round to it if they are squares.
    pub fn around(self, fraction: f64) -> [f64; 2] {
        let levels = self.levels();
        let above = levels.get(levels.partition_point(|&level| level < fraction)).copied().unwrap_or(1.0);
        let below = levels[..levels.partition_point(|&level| level <= fraction)].last().copied().unwrap_or(-1.0);
        match self {
            Self::Square if below == 0.0 && fraction > 0.0 => [above, above],
            _ => [below, above],
        }
    }
}

fn ascending(map: MomentMap) -> Vec<f64> {
    let mut levels: Vec<f64> = (0..=255).map(|code| map.fraction(code)).collect();
    levels.sort_by(f64::total_cmp);
    levels
}
