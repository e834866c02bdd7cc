//! A curve that never grows beyond what a screen can show.

/// Points that are kept: more than any terminal has dots side by side.
const MOST: usize = 1024;

/// A curve over steps. When it is full, each two neighbours become their mean.
#[derive(Clone, Debug)]
pub struct Curve {
    points: Vec<(f64, f64)>,
    /// How many numbers a point is the mean of.
    each: u32,
    /// Sums of those that are not enough for a point yet, and how many they are.
    rest: (f64, f64),
    count: u32,
}

impl Default for Curve {
    fn default() -> Self {
        Self { points: Vec::new(), each: 1, rest: (0.0, 0.0), count: 0 }
    }
}

impl Curve {
    /// Adds a number; what is not finite is left out.
    pub fn add(&mut self, step: u64, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.rest = (self.rest.0 + step as f64, self.rest.1 + value);
        self.count += 1;
        if self.count < self.each {
            return;
        }
        let count = f64::from(self.count);
        self.points.push((self.rest.0 / count, self.rest.1 / count));
        (self.rest, self.count) = ((0.0, 0.0), 0);
        if self.points.len() == MOST {
            self.points = self.points.chunks(2).map(mean).collect();
            self.each *= 2;
        }
    }

    /// Its points, from left to right.
    pub fn points(&self) -> &[(f64, f64)] {
        &self.points
    }

    /// The same without its noise: each point is the mean of those around it.
    pub fn smooth(&self) -> Vec<(f64, f64)> {
        let reach = self.points.len() / 30;
        let around = |index: usize| {
            // Not drawn towards the middle where a curve is steep; where it ends, the mean of the last ones.
            let first = index - reach.min(index);
            let last = (index + reach.min(index)).min(self.points.len() - 1);
            (self.points[index].0, mean(&self.points[first..=last]).1)
        };
        (0..self.points.len()).map(around).collect()
    }
}

fn mean(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    (x / count, y / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_curve_keeps_its_shape_in_few_points() {
        let mut curve = Curve::default();
        for step in 1..=100_000u64 {
            curve.add(step, 3.0 * step as f64 + 1.0);
        }
        let points = curve.points();
        assert!((MOST / 2..MOST).contains(&points.len()), "{}", points.len());
        // A straight line stays one.
        assert!(points.iter().all(|(step, value)| (value - (3.0 * step + 1.0)).abs() < 1e-6));
        assert!(points.windows(2).all(|two| two[0].0 < two[1].0) && points.last().unwrap().0 > 99_500.0);
        let smooth = curve.smooth();
        let (inner, end) = smooth.split_at(points.len() - points.len() / 30);
        assert!(inner.iter().all(|(step, value)| (value - (3.0 * step + 1.0)).abs() < 1e-6));
        assert!(end.iter().all(|(step, value)| *value < 3.0 * step && *value > 2.9 * step));
    }

    #[test]
    fn short_curves_are_kept_as_they_are_and_what_is_no_number_is_left_out() {
        let mut curve = Curve::default();
        assert!(curve.smooth().is_empty());
        for (step, value) in [(1, 2.0), (2, f64::NAN), (3, f64::INFINITY), (4, 1.0)] {
            curve.add(step, value);
        }
        assert_eq!(curve.points(), [(1.0, 2.0), (4.0, 1.0)]);
        assert_eq!(curve.smooth(), curve.points());
    }
}
