//! Patterns for names: `*` stands for any text.

/// Whether a name fits a pattern.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let head = parts.next().unwrap_or_default();
    let Some(tail) = parts.next_back() else {
        return pattern == name;
    };
    let Some(mut rest) = name.strip_prefix(head).and_then(|name| name.strip_suffix(tail)) else {
        return false;
    };
    parts.all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        let fits = [("*", ""), ("*", "a.b"), ("layer1.*", "layer1.0.conv1"), ("*.conv1", "layer1.0.conv1")];
        let more = [("l*1.*.c*", "layer1.0.conv1"), ("a", "a"), ("a**b", "ab"), ("*ü*", "aüb"), ("*ab*ab", "abcab")];
        for (pattern, name) in fits.into_iter().chain(more) {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("", "a"), ("layer1", "layer1.0"), ("layer1.*", "layer10"), ("*b", "abc"), ("a*a", "a"), ("*ab*ab", "ab")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    /// It took minutes with twenty stars when each was tried at every place.
    #[test]
    fn many_stars_take_no_more_time_than_few() {
        let name = "0.body.".repeat(40);
        assert!(!matches(&("*.".repeat(40) + "*x"), &name));
        assert!(matches(&"*.".repeat(40), &name));
        assert!(!matches(&("*a".repeat(500) + "*b"), &"a".repeat(100_000)));
    }

    /// Every way, tried one after the other.
    fn tried(pattern: &str, name: &str) -> bool {
        match pattern.split_once('*') {
            None => pattern == name,
            Some((head, rest)) => {
                name.strip_prefix(head).is_some_and(|name| (0..=name.len()).any(|at| tried(rest, &name[at..])))
            }
        }
    }

    #[test]
    fn patterns_fit_as_if_every_way_were_tried() {
        let words = |letters: &[u8], length: usize| -> Vec<String> {
            (0..letters.len().pow(length as u32))
                .map(|n| {
                    (0..length).map(|at| letters[n / letters.len().pow(at as u32) % letters.len()] as char).collect()
                })
                .collect()
        };
        for pattern in (0..=5).flat_map(|length| words(b"ab*", length)) {
            for name in (0..=5).flat_map(|length| words(b"ab", length)) {
                assert_eq!(matches(&pattern, &name), tried(&pattern, &name), "{pattern} {name}");
            }
        }
    }
}
