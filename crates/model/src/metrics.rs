//! Measures of the predictions for a whole set.

/// The area under the receiver operating characteristic: how often a sample of the positive class has a larger score than one of the
/// other class, ties counting half. It is exact: the statistic of Mann and Whitney (1947) with mid-ranks for ties. `None` unless
/// both classes have samples, or if a score is NaN.
pub fn auc(mut scored: Vec<(f64, bool)>) -> Option<f64> {
    if scored.iter().any(|(score, _)| score.is_nan()) {
        return None;
    }
    scored.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
    let positives = scored.iter().filter(|(_, positive)| *positive).count() as f64;
    let negatives = scored.len() as f64 - positives;
    // The sum of the positives' ranks, which count from 1.
    let (mut ranks, mut before) = (0.0, 0);
    // As numbers: −0 and 0 are a tie.
    for tie in scored.chunk_by(|(a, _), (b, _)| a == b) {
        let middle = before as f64 + (tie.len() as f64 + 1.0) / 2.0;
        ranks += middle * tie.iter().filter(|(_, positive)| *positive).count() as f64;
        before += tie.len();
    }
    let area = (ranks - positives * (positives + 1.0) / 2.0) / (positives * negatives);
    (positives > 0.0 && negatives > 0.0).then_some(area)
}

/// The coefficient of determination: 1 − Σ(t − p)² / Σ(t − mean of t)², of pairs of a prediction p and its target t. `None` if the
/// targets do not differ.
pub fn r_squared(pairs: &[(f64, f64)]) -> Option<f64> {
    let mean = pairs.iter().map(|(_, target)| target).sum::<f64>() / pairs.len() as f64;
    let variance: f64 = pairs.iter().map(|(_, target)| (target - mean).powi(2)).sum();
    let errors: f64 = pairs.iter().map(|(prediction, target)| (prediction - target).powi(2)).sum();
    (variance > 0.0).then(|| 1.0 - errors / variance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against the definition, pair by pair, with many ties.
        #[test]
        fn the_area_is_the_share_of_pairs_in_the_right_order(
            scored in prop::collection::vec((-4i8..5, any::<bool>()), 0..40),
        ) {
            let scored: Vec<(f64, bool)> =
                scored.into_iter().map(|(score, positive)| (f64::from(score) / 2.0, positive)).collect();
            let (mut pairs, mut won) = (0.0, 0.0);
            for (a, _) in scored.iter().filter(|(_, positive)| *positive) {
                for (b, _) in scored.iter().filter(|(_, positive)| !positive) {
                    pairs += 1.0;
                    won += if a > b { 1.0 } else if a == b { 0.5 } else { 0.0 };
                }
            }
            match auc(scored) {
                None => prop_assert_eq!(pairs, 0.0),
                Some(area) => prop_assert!((area - won / pairs).abs() < 1e-12, "{} and {}", area, won / pairs),
            }
        }
    }

    #[test]
    fn the_area_of_published_scores() {
        // The example of scikit-learn's `roc_auc_score`.
        let scored = vec![(0.1, false), (0.4, false), (0.35, true), (0.8, true)];
        assert_eq!(auc(scored.clone()), Some(0.75));
        assert_eq!(auc(scored.into_iter().map(|(score, positive)| (-score, positive)).collect()), Some(0.25));
        assert_eq!(auc(vec![(-0.0, true), (0.0, false)]), Some(0.5));
        assert_eq!(auc(vec![(1.0, true), (2.0, true)]), None);
        assert_eq!(auc(vec![(f64::NAN, true), (2.0, false)]), None);
        assert_eq!(auc(vec![(f64::INFINITY, true), (f64::NEG_INFINITY, false)]), Some(1.0));
    }

    #[test]
    fn the_mean_explains_nothing() {
        // The example of scikit-learn's `r2_score`.
        let pairs = [(2.5, 3.0), (0.0, -0.5), (2.0, 2.0), (8.0, 7.0)];
        assert!((r_squared(&pairs).unwrap() - 0.948_608_137_044_967_9).abs() < 1e-12);
        assert_eq!(r_squared(&[(2.0, 1.0), (2.0, 3.0)]), Some(0.0));
        assert_eq!(r_squared(&[(1.0, 1.0), (2.0, 1.0)]), None);
        assert_eq!(r_squared(&[]), None);
    }
}
