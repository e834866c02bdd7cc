//! Numbers as people read them.

use crate::largest_batch::MOST_SAMPLES;

/// Bytes with a unit: `4.24 MiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut unit = "B";
    for larger in UNITS {
        // 1023.995 would be printed as 1024.00.
        if value < 1023.995 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    match value {
        v if v < 9.995 => format!("{v:.2} {unit}"),
        v if v < 99.95 => format!("{v:.1} {unit}"),
        v => format!("{v:.0} {unit}"),
    }
}

/// Bytes in the largest unit that needs no fraction, as [`size`] reads it: `16MiB`.
pub fn exact(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["", "KiB", "MiB", "GiB", "TiB"];
    let power = (bytes.trailing_zeros() / 10).min(4);
    format!("{}{}", bytes.checked_shr(10 * power).unwrap_or(0), UNITS[power as usize])
}

/// The other way: `8GiB`, `1.5 GB`, `4096`; K, M, G and T alone mean the binary units.
///
/// # Errors
/// Says what to write.
pub fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u32); 5] = [("", 0), ("k", 1), ("m", 2), ("g", 3), ("t", 4)];
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = (text[..end].parse::<f64>(), text[end..].trim().to_ascii_lowercase());
    let decimal = unit.len() == 2 && unit.ends_with('b');
    let prefix = unit.strip_suffix('b').unwrap_or(&unit);
    let prefix = if prefix.len() == 2 { prefix.strip_suffix('i').unwrap_or(prefix) } else { prefix };
    let power = UNITS.iter().find(|(name, _)| *name == prefix).map(|(_, power)| *power);
    match (number, power) {
        (Ok(number), Some(power)) if number > 0.0 => {
            let bytes = number * (if decimal { 1000f64 } else { 1024.0 }).powi(power as i32);
            // TOML, in which resolved configs are written, has no larger numbers.
            if bytes < 1.0 {
                return Err("it must be a byte at least".to_owned());
            }
            if bytes < i64::MAX as f64 { Ok(bytes as u64) } else { Err("no memory is that large".to_owned()) }
        }
        _ => Err("expected a size such as 8GiB, 500MB or a number of bytes".to_owned()),
    }
}

/// Names as a text, and how many more there are: "`a`, `b` and 7 more".
pub fn listed(names: &[impl AsRef<str>], most: usize) -> String {
    let shown: Vec<String> = names.iter().take(most).map(|name| format!("`{}`", name.as_ref())).collect();
    let more = names.len().saturating_sub(most);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

/// A largest batch: `4,096`, or `≥ 1,048,576` where larger ones were not tried.
pub fn largest_batch(batch: usize) -> String {
    let samples = count(batch as u64);
    if batch < MOST_SAMPLES { samples } else { format!("≥ {samples}") }
}

/// A count with commas between thousands: `105,194`.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_get_the_unit_that_fits() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (4_451_328, "4.25 MiB"),
            (104_857, "102 KiB"),
            (1_048_575, "1.00 MiB"),
            (8 << 30, "8.00 GiB"),
            (u64::MAX, "16384 PiB"),
        ];
        for (number, text) in cases {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn sizes_are_read_with_and_without_units() {
        let cases = [
            ("8GiB", 8 << 30),
            ("8g", 8 << 30),
            ("1.5 MiB", 3 << 19),
            ("8GB", 8_000_000_000),
            ("512", 512),
            ("512B", 512),
            ("2TiB", 2 << 40),
        ];
        for (text, number) in cases {
            assert_eq!(size(text), Ok(number), "{text}");
        }
        for text in ["", "GiB", "-1GiB", "8XiB", "0", "1.2.3", "8GiBs", "8 GiB B", "9999999TiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn counts_get_commas() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (105_194, "105,194"), (1_234_567, "1,234,567")];
        for (number, text) in cases {
            assert_eq!(count(number), text);
        }
    }
}
