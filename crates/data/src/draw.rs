//! Which samples are held out: so many of each class, by chance.
//!
//! ```text
//! quota of a class   total × (its samples / all samples), rounded by largest remainder, so that they add up to the total
//! at least           1 of a class with two samples or more, as far as the total allows
//! at most            all but one of a class
//! ```
//!
//! Samples are shuffled once, and the first ones of each class in that order are held out, as many as its quota. So a set of one class
//! gives the first samples of the order. All of it depends on labels and seed alone.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::order;

/// How many samples can be held out at most: each class keeps one.
pub(super) fn most(labels: &[u32]) -> usize {
    let classes = counts(labels);
    labels.len() - classes.iter().filter(|&&count| count > 0).count()
}

/// How many samples each label has, up to the largest label.
pub(super) fn counts(labels: &[u32]) -> Vec<u64> {
    let mut counts = vec![0; labels.iter().max().map_or(0, |&most| most as usize + 1)];
    labels.iter().for_each(|&label| counts[label as usize] += 1);
    counts
}

/// The numbers of the samples that are held out, `total` or [`most`] of them, and those of the others; both in order.
pub(super) fn divide(labels: &[u32], total: usize, seed: u64) -> (Vec<u32>, Vec<u32>) {
    // No epoch of any run has this number, so that no order of samples repeats this one.
    let order = order::permutation(labels.len() as u32, seed, u64::MAX);
    let counts = counts(labels);
    // Classes in the order of their first sample, so that chance decides between classes with equal remainders.
    let mut classes = Vec::new();
    let mut seen = vec![false; counts.len()];
    for &index in &order {
        let label = labels[index as usize] as usize;
        if !std::mem::replace(&mut seen[label], true) {
            classes.push(label);
        }
    }
    let sizes: Vec<u64> = classes.iter().map(|&class| counts[class]).collect();
    let mut left = vec![0; counts.len()];
    for (&class, quota) in classes.iter().zip(quotas(&sizes, total.min(most(labels)) as u64)) {
        left[class] = quota;
    }
    let (mut held_out, mut others): (Vec<u32>, Vec<u32>) = order.into_iter().partition(|&index| {
        let left = &mut left[labels[index as usize] as usize];
        let is_held_out = *left > 0;
        *left -= u64::from(is_held_out);
        is_held_out
    });
    held_out.sort_unstable();
    others.sort_unstable();
    (held_out, others)
}

/// How many samples of each class are held out, for classes of these sizes, none of them empty. Earlier classes win ties.
fn quotas(sizes: &[u64], total: u64) -> Vec<u64> {
    let all: u64 = sizes.iter().sum();
    let dividable = sizes.iter().filter(|&&size| size > 1).count() as u64;
    let least = |size: u64| u64::from(size > 1 && dividable <= total);
    let mut quotas: Vec<u64> =
        sizes.iter().map(|&size| exact(total, size, all).max(least(size)).min(size - 1)).collect();
    // By how much a class falls short of its exact share, times the number of all samples.
    let shortfall =
        |class: usize, quota: u64| i128::from(total) * i128::from(sizes[class]) - i128::from(quota) * i128::from(all);
    let mut sum: u64 = quotas.iter().sum();
    if sum < total {
        let mut heap: BinaryHeap<_> =
            (0..sizes.len()).map(|class| (shortfall(class, quotas[class]), Reverse(class))).collect();
        while sum < total {
            let Some((_, Reverse(class))) = heap.pop() else { break };
            if quotas[class] + 1 < sizes[class] {
                quotas[class] += 1;
                sum += 1;
                heap.push((shortfall(class, quotas[class]), Reverse(class)));
            }
        }
    } else {
        let mut heap: BinaryHeap<_> = (0..sizes.len()).map(|class| (-shortfall(class, quotas[class]), class)).collect();
        while sum > total {
            let Some((_, class)) = heap.pop() else { break };
            if quotas[class] > least(sizes[class]) {
                quotas[class] -= 1;
                sum -= 1;
                heap.push((-shortfall(class, quotas[class]), class));
            }
        }
    }
    quotas
}

/// The whole part of `total × size / all`.
fn exact(total: u64, size: u64, all: u64) -> u64 {
    (u128::from(total) * u128::from(size) / u128::from(all.max(1))) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotas_are_proportional_by_largest_remainder() {
        assert_eq!(quotas(&[50, 30, 20], 10), [5, 3, 2]);
        assert_eq!(quotas(&[6, 6, 6], 4), [2, 1, 1]);
        // Exact shares are 8.8, 0.2 and 0.0.
        assert_eq!(quotas(&[440, 10, 2], 9), [7, 1, 1]);
        assert_eq!(quotas(&[100, 1, 2], 1), [1, 0, 0]);
        assert_eq!(quotas(&[3, 2], 3), [2, 1]);
        assert_eq!(quotas(&[10], 4), [4]);
    }

    #[test]
    fn a_rare_class_is_on_both_sides() {
        let labels: Vec<u32> = (0..100).map(|at| u32::from(at % 50 == 0)).collect();
        for seed in 0..20 {
            let (held_out, others) = divide(&labels, 20, seed);
            let rare = |part: &[u32]| part.iter().filter(|&&at| labels[at as usize] == 1).count();
            assert_eq!((held_out.len(), rare(&held_out), rare(&others)), (20, 1, 1));
        }
        assert_ne!(divide(&labels, 20, 1), divide(&labels, 20, 2));
        // A single sample is learned from.
        assert_eq!(divide(&[0, 0, 0, 1], 2, 7).1.last(), Some(&3));
        assert_eq!((most(&[0, 1, 2]), divide(&[0, 1, 2], 1, 0).0.len()), (0, 0));
    }

    /// Runs on such sets hold out what they did before samples were drawn class by class.
    #[test]
    fn one_class_gives_the_first_samples_of_the_order() {
        let mut order = order::permutation(30, 9, u64::MAX);
        order.truncate(7);
        order.sort_unstable();
        assert_eq!(divide(&[0; 30], 7, 9).0, order);
        assert_eq!(divide(&[4; 30], 7, 9).0, order);
    }

    proptest! {
        #[test]
        fn any_set_is_divided_fairly(
            labels in prop::collection::vec(prop_oneof![Just(0u32), 0u32..3, 0u32..40], 1..200),
            total in 0usize..200,
            seed: u64,
        ) {
            let (held_out, others) = divide(&labels, total, seed);
            let total = total.min(most(&labels));
            prop_assert_eq!(held_out.len(), total);
            let mut both = [held_out.clone(), others.clone()].concat();
            prop_assert!(held_out.is_sorted() && others.is_sorted());
            both.sort_unstable();
            prop_assert!(both.into_iter().eq(0..labels.len() as u32));
            let of = |part: &[u32]| {
                let part: Vec<u32> = part.iter().map(|&at| labels[at as usize]).collect();
                let mut counts = counts(&part);
                counts.resize(40, 0);
                counts
            };
            let (all, held_out, others) = (counts(&labels), of(&held_out), of(&others));
            let dividable = all.iter().filter(|&&count| count > 1).count();
            for (class, &count) in all.iter().enumerate().filter(|(_, count)| **count > 0) {
                prop_assert!(others[class] > 0);
                prop_assert!(count < 2 || dividable > total || held_out[class] > 0);
                // Bounds aside, a larger class gives no less.
                for (other, &smaller) in all.iter().enumerate().filter(|(_, smaller)| **smaller > 1 && **smaller < count) {
                    prop_assert!(held_out[class] >= held_out[other], "{} of {}, {} of {}", held_out[class], count, held_out[other], smaller);
                }
            }
        }
    }
}
