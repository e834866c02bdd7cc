//! The tables of values: what each store does to what waits.

use super::bytes;
use crate::records::{GradientError, StudiedStore, ValueError};
use serde::Serialize;

/// What a store does to the values that codecs encode.
#[derive(Serialize)]
pub(super) struct Values {
    store: String,
    /// Whether sizes follow the data: then there are bounds.
    has_bounds: bool,
    rows: Vec<Value>,
}

/// A value as people read it.
#[derive(Serialize)]
struct Value {
    name: String,
    form: String,
    raw: String,
    stored: String,
    ratio: String,
    bound: String,
    /// The share of tiles that are kept raw, where some do.
    raw_tiles: Option<String>,
    max_error: String,
    rms_error: String,
    gradient: String,
}

impl Values {
    /// None if no value is encoded by a codec.
    pub fn of(studied: &StudiedStore) -> Option<Self> {
        let rows: Vec<Value> = studied.values.iter().map(|value| Value::of(value, studied)).collect();
        let has_bounds = studied.values.iter().any(|value| value.bound.is_some());
        (!rows.is_empty()).then(|| Self { store: studied.store.clone(), has_bounds, rows })
    }
}

impl Value {
    fn of(value: &ValueError, studied: &StudiedStore) -> Self {
        let nothing = || "–".to_owned();
        let served = |weight: &&GradientError| weight.noise > 0.0 && value.weights.contains(&weight.parameter);
        let errors = studied.gradient.iter().filter(served).map(GradientError::over_noise);
        Self {
            name: value.name.clone(),
            form: value.form.clone(),
            raw: bytes(value.raw_bytes),
            stored: bytes(value.stored_bytes),
            ratio: match value.stored_bytes {
                0 => nothing(),
                stored => format!("{:.1}×", value.raw_bytes as f64 / stored as f64),
            },
            bound: value.bound.map_or_else(nothing, short),
            raw_tiles: value.raw_share.filter(|&share| share > 0.0).map(percent),
            max_error: short(value.max_error),
            rms_error: short(value.rms_error),
            gradient: errors.reduce(f64::max).map_or_else(nothing, |error| format!("{error:.3}")),
        }
    }
}

/// Two digits, from a share: `12 %`, `0.34 %`.
fn percent(share: f64) -> String {
    match 100.0 * share {
        p if p >= 9.95 => format!("{p:.0} %"),
        p if p >= 0.995 => format!("{p:.1} %"),
        p if p >= 0.005 => format!("{p:.2} %"),
        _ => "< 0.01 %".to_owned(),
    }
}

/// Three digits: `0.0123`, `1.23e−5`.
fn short(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        size if (1e-3..1e4).contains(&size) => {
            let digits = (2 - size.log10().floor() as i32).max(0) as usize;
            format!("{number:.digits$}")
        }
        _ => format!("{number:.2e}").replace('-', "−"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_do_for_a_share() {
        let cases = [(1.0, "100 %"), (0.125, "12 %"), (0.0996, "10 %"), (0.0123, "1.2 %"), (0.00034, "0.03 %")];
        for (share, text) in cases.into_iter().chain([(1e-6, "< 0.01 %")]) {
            assert_eq!(percent(share), text);
        }
    }

    #[test]
    fn three_digits_say_enough() {
        let cases = [(0.0, "0"), (0.012345, "0.0123"), (1.0, "1.00"), (123.4, "123"), (1.234e-5, "1.23e−5")];
        for (number, text) in cases {
            assert_eq!(short(number), text);
        }
    }
}
