//! The records that SQS has confirmed, as ranges of their numbers.

use std::ops::RangeInclusive;

/// A set of record numbers. Most records are confirmed in order, so a few ranges contain many of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Confirmed {
    /// Ordered, with a gap between any two ranges.
    ranges: Vec<(u64, u64)>,
}

impl Confirmed {
    /// Returns true if the record with this number is confirmed.
    pub(super) fn contains(&self, number: u64) -> bool {
        let after = self.ranges.partition_point(|(first, _)| *first <= number);
        after > 0 && self.ranges[after - 1].1 >= number
    }

    /// Returns how many records are confirmed.
    pub(super) fn count(&self) -> u64 {
        self.ranges.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Adds a range.
    pub(super) fn add(&mut self, range: RangeInclusive<u64>) {
        let (mut first, mut last) = range.into_inner();
        // Ranges that touch it are merged with it.
        let from = self.ranges.partition_point(|(_, end)| end.saturating_add(1) < first);
        let to = self.ranges.partition_point(|(begin, _)| *begin <= last.saturating_add(1));
        if from < to {
            first = first.min(self.ranges[from].0);
            last = last.max(self.ranges[to - 1].1);
        }
        self.ranges.splice(from..to, [(first, last)]);
    }
}

/// Returns numbers as ranges.
pub(super) fn ranges(numbers: impl IntoIterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut confirmed = Confirmed::default();
    for number in numbers {
        confirmed.add(number..=number);
    }
    confirmed.ranges
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set_of_as_few_ranges_as_there_can_be(added in prop::collection::vec((1u64..60, 0u64..8), 0..30)) {
            let (mut confirmed, mut model) = (Confirmed::default(), BTreeSet::new());
            for (first, more) in added {
                confirmed.add(first..=first + more);
                model.extend(first..=first + more);
            }
            for number in 0..80 {
                prop_assert_eq!(confirmed.contains(number), model.contains(&number));
            }
            prop_assert_eq!(confirmed.count(), model.len() as u64);
            prop_assert!(confirmed.ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            prop_assert_eq!(ranges(model), confirmed.ranges);
        }
    }
}
