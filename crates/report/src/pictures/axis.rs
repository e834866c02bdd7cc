//! Axes: from numbers to places, with ticks at numbers that people like.

/// How numbers spread over an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal steps are equal differences.
    Linear,
    /// Only whole numbers have ticks.
    Whole,
    /// Each power of ten takes as much room as the next.
    Tens,
    /// Each doubling does.
    Doublings,
}

/// An axis over a range.
#[derive(Clone, Debug)]
pub struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    /// Numbers and how they are written.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Over all these numbers; `most` is about how many ticks there may be.
    pub fn over(numbers: impl Iterator<Item = f64>, scale: Scale, most: usize) -> Self {
        let fits =
            |number: &f64| number.is_finite() && (*number > 0.0 || matches!(scale, Scale::Linear | Scale::Whole));
        let (low, high) = numbers
            .filter(fits)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), number| (low.min(number), high.max(number)));
        let (low, high) = if low > high { (1.0, 2.0) } else { (low, high) };
        match scale {
            Scale::Linear | Scale::Whole => Self::linear(scale, low, high, most),
            Scale::Tens => Self::tens(low, high, most),
            Scale::Doublings => Self::doublings(low, high),
        }
    }

    fn linear(scale: Scale, low: f64, high: f64, most: usize) -> Self {
        let span = if high > low { high - low } else { low.abs().max(1.0) * 0.1 };
        let rough = span / most as f64;
        let power = 10f64.powf(rough.log10().floor());
        let mut step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= rough).unwrap_or(power);
        let (mut from, mut to) = ((low / step).floor() * step, (high / step).ceil() * step);
        if scale == Scale::Whole {
            step = step.max(1.0).round();
            // Steps and epochs begin and end where they do.
            (from, to) = (low, if high > low { high } else { low + 1.0 });
        }
        if to <= from {
            (from, to) = (from - step, to + step);
        }
        let digits = (-step.log10().floor()).max(0.0) as usize;
        let first = (from / step - 1e-9).ceil();
        let ticks = (0..).map(|index| (first + f64::from(index)) * step).take_while(|tick| *tick <= to + step * 1e-6);
        let write = |tick: f64| match digits {
            0 => thousands(tick),
            digits => format!("{tick:.digits$}").replace('-', "−"),
        };
        Self { scale, low: from, high: to, ticks: ticks.take(50).map(|tick| (tick, write(tick))).collect() }
    }

    fn tens(low: f64, high: f64, most: usize) -> Self {
        let (least, most_of) = (just(low, false), just(high, true));
        if most_of / least <= 100.5 {
            return Self::few_tens(least, most_of.max(2.0 * least));
        }
        let (mut from, mut to) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        if to - from < 1 {
            (from, to) = (from - 1, to.max(from + 1));
        }
        let every = ((to - from) as usize).div_ceil(most).max(1);
        let powers = (from..=to).step_by(every);
        Self { scale: Scale::Tens, low: ten(from), high: ten(to), ticks: powers.map(|p| (ten(p), power(p))).collect() }
    }

    /// Over less than two powers of ten, with ticks at 1, 2 and 5 of each.
    fn few_tens(low: f64, high: f64) -> Self {
        let mut ticks = vec![low];
        while let Some(&last) = ticks.last().filter(|last| **last < high * (1.0 - 1e-9)) {
            ticks.push(just(last * 1.5, true));
        }
        Self { scale: Scale::Tens, low, high, ticks: ticks.into_iter().map(|tick| (tick, plain(tick))).collect() }
    }

    fn doublings(low: f64, high: f64) -> Self {
        // A little room at both ends; where that would leave next to no ticks, from one to another.
        let [mut low, mut high] = [low / 1.15, high * 1.15];
        let (mut from, mut to) = (low.log2().ceil() as i32, high.log2().floor() as i32);
        if to - from < 1 {
            (from, to) = (low.log2().floor() as i32, high.log2().ceil() as i32);
            to = to.max(from + 1);
            (low, high) = (2f64.powi(from), 2f64.powi(to));
        }
        let write = |power: i32| match power {
            0.. => format!("{}", 2f64.powi(power)),
            _ => format!("1/{}", 2f64.powi(-power)),
        };
        let every = ((to - from) as usize).div_ceil(12).max(1);
        let ticks = (from..=to).step_by(every).map(|power| (2f64.powi(power), write(power))).collect();
        Self { scale: Scale::Doublings, low, high, ticks }
    }

    /// The least and the largest number that have a place.
    pub fn ends(&self) -> [f64; 2] {
        [self.low, self.high]
    }

    /// Where a number lies, from 0 to 1; what lies beyond an end lies on it.
    pub fn place(&self, number: f64) -> f64 {
        let spread = |number: f64| match self.scale {
            Scale::Linear | Scale::Whole => number,
            Scale::Tens | Scale::Doublings => number.max(f64::MIN_POSITIVE).log10(),
        };
        let (low, high) = (spread(self.low), spread(self.high));
        let share = (spread(number) - low) / (high - low);
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }

    /// Whether a number lies between the ends.
    pub fn holds(&self, number: f64) -> bool {
        (self.low..=self.high).contains(&number)
    }
}

fn ten(power: i32) -> f64 {
    10f64.powi(power)
}

/// `0.001`, `100`, and beyond those `1e-6`.
fn power(power: i32) -> String {
    match power {
        0..=5 => thousands(ten(power)),
        -4..0 => format!("{:.*}", -power as usize, ten(power)),
        _ => format!("1e{power}").replace('-', "−"),
    }
}

/// The next of …, 0.1, 0.2, 0.5, 1, 2, … in one direction.
fn just(number: f64, up: bool) -> f64 {
    let power = ten(number.log10().floor() as i32);
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let near = 1e-9 * number;
    let found = match up {
        true => steps.into_iter().find(|step| *step >= number - near),
        false => steps.into_iter().rev().find(|step| *step <= number + near),
    };
    found.unwrap_or(number)
}

/// `0.05`, `2`, and beyond a thousandth `5e−4`.
fn plain(number: f64) -> String {
    match number {
        n if n >= 1.0 => thousands(n),
        n if n >= 0.000_99 => format!("{n:.*}", -(n * 1.000_001).log10().floor() as usize),
        n => format!("{n:.0e}").replace('-', "−"),
    }
}

fn thousands(number: f64) -> String {
    let sign = if number < -0.5 { "−" } else { "" };
    format!("{sign}{}", crate::count(number.abs().round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(numbers: &[f64], scale: Scale) -> Vec<String> {
        Axis::over(numbers.iter().copied(), scale, 5).ticks.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_stand_at_numbers_that_people_like() {
        assert_eq!(ticks(&[71.3, 79.2], Scale::Linear), ["70", "72", "74", "76", "78", "80"]);
        assert_eq!(ticks(&[0.11, 0.42], Scale::Linear), ["0.1", "0.2", "0.3", "0.4", "0.5"]);
        assert_eq!(ticks(&[1.0, 4.0], Scale::Whole), ["1", "2", "3", "4"]);
        assert_eq!(ticks(&[1.0, 2000.0], Scale::Whole), ["500", "1,000", "1,500", "2,000"]);
        assert_eq!(ticks(&[0.002, 0.7], Scale::Tens), ["0.001", "0.01", "0.1", "1"]);
        assert_eq!(ticks(&[0.13, 1.3], Scale::Tens), ["0.1", "0.2", "0.5", "1", "2"]);
        assert_eq!(ticks(&[4e-5, 3e-4], Scale::Tens), ["2e−5", "5e−5", "1e−4", "2e−4", "5e−4"]);
        assert_eq!(ticks(&[0.6, 32.0], Scale::Doublings), ["1", "2", "4", "8", "16", "32"]);
        assert_eq!(ticks(&[9.0, 10.0], Scale::Doublings), ["4", "8", "16"]);
    }

    #[test]
    fn nothing_one_number_and_no_numbers_have_an_axis_too() {
        let strange = [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300, 1e-300];
        for scale in [Scale::Linear, Scale::Whole, Scale::Tens, Scale::Doublings] {
            for numbers in [&[][..], &[0.0], &[5.0], &[-2.0], &strange] {
                let axis = Axis::over(numbers.iter().copied(), scale, 5);
                assert!(axis.ticks.len() <= 2100, "{scale:?} {numbers:?}");
                assert!(strange.iter().all(|number| (0.0..=1.0).contains(&axis.place(*number))), "{axis:?}");
            }
        }
    }
}
