//! A smaller input that breaks the same.

use std::time::{Duration, Instant};

/// How long to try.
const MOST_TIME: Duration = Duration::from_secs(10);

/// Takes pieces away, large ones first, as long as `breaks` holds.
pub fn minimise(mut input: Vec<u8>, breaks: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let begin = Instant::now();
    // A crash that depends on what was tried before cannot be made smaller.
    if !breaks(&input) {
        return input;
    }
    let mut piece = input.len().div_ceil(2);
    while piece > 0 {
        let mut at = 0;
        while at < input.len() {
            if begin.elapsed() > MOST_TIME {
                return input;
            }
            let smaller = [&input[..at], &input[(at + piece).min(input.len())..]].concat();
            if breaks(&smaller) {
                input = smaller;
            } else {
                at += piece;
            }
        }
        piece /= 2;
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_is_taken_away() {
        let input: Vec<u8> = (0..100).collect();
        assert_eq!(minimise(input.clone(), |input| input.contains(&17) && input.contains(&80)), [17, 80]);
        assert_eq!(minimise(input.clone(), |_| false), input);
    }
}
