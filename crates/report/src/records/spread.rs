//! What is said of a figure that was measured several times.

use serde::{Deserialize, Serialize};

/// The five-number summary of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The least.
    pub least: f64,
    /// A quarter lies below.
    pub lower: f64,
    /// Half lies below.
    pub median: f64,
    /// A quarter lies above.
    pub upper: f64,
    /// The most.
    pub most: f64,
}

impl Spread {
    /// Of a sample, which must not be empty; quartiles between two figures are interpolated.
    pub fn of(mut sample: Vec<f64>) -> Self {
        sample.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * (sample.len() - 1) as f64;
            let (below, above) = (sample[place.floor() as usize], sample[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        Self { least: at(0.0), lower: at(0.25), median: at(0.5), upper: at(0.75), most: at(1.0) }
    }

    /// In another unit.
    pub fn times(self, factor: f64) -> Self {
        let [least, lower, median, upper, most] =
            [self.least, self.lower, self.median, self.upper, self.most].map(|figure| figure * factor);
        Self { least, lower, median, upper, most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_numbers_of_a_sample() {
        let spread = Spread::of(vec![4.0, 1.0, 3.0, 2.0]);
        assert_eq!(spread, Spread { least: 1.0, lower: 1.75, median: 2.5, upper: 3.25, most: 4.0 });
        assert_eq!(spread.times(2.0).upper, 6.5);
        let one = Spread::of(vec![7.0]);
        assert_eq!((one.least, one.median, one.most), (7.0, 7.0, 7.0));
    }
}
