//! Observations by bucket, and values that represent them.

/// The observations of a histogram.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Distribution {
    pub(crate) sum: f64,
    /// The upper bounds of the buckets in order, the last of which is infinite, with the number of observations in each.
    pub(crate) buckets: Vec<(f64, u64)>,
}

impl Distribution {
    /// Returns the observations since `before`, which has the same buckets.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let counts = self.buckets.iter().zip(&before.buckets);
        let buckets = counts.map(|((bound, now), (_, before))| (*bound, now.saturating_sub(*before)));
        Self { sum: self.sum - before.sum, buckets: buckets.collect() }
    }

    /// Returns one value for each non-empty bucket, with its count.
    ///
    /// The values lie in their buckets, each at the same fraction between the lower and the upper bound, so that their sum is
    /// that of the observations: averages are exact, and percentiles are as exact as the buckets.
    pub(crate) fn values(&self) -> Vec<(f64, u64)> {
        let mut lower = 0.0;
        let mut filled = Vec::new();
        for &(upper, count) in &self.buckets {
            if count > 0 {
                filled.push((lower, upper, count));
            }
            lower = upper;
        }
        let least: f64 = filled.iter().map(|(lower, _, count)| lower * float(*count)).sum();
        let finite = filled.iter().filter(|(_, upper, _)| upper.is_finite());
        let width: f64 = finite.map(|(lower, upper, count)| (upper - lower) * float(*count)).sum();
        let above = (self.sum - least).max(0.0);
        let part = if width > 0.0 { (above / width).min(1.0) } else { 0.0 };
        // The rest is more than the finite buckets can contain, so it was observed beyond their bounds.
        let beyond = (above - part * width).max(0.0);
        let value = |(lower, upper, count): (f64, f64, u64)| {
            let way = if upper.is_finite() { part * (upper - lower) } else { beyond / float(count) };
            // The lower bound itself is in the bucket below.
            (lower + way.max(lower * LEAST_WAY), count)
        };
        filled.into_iter().map(value).collect()
    }
}

/// The least distance of a value from the lower bound of its bucket, as a part of the bound.
const LEAST_WAY: f64 = 1e-9;

fn float(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: [f64; 5] = [0.5, 1.0, 10.0, 900.0, f64::INFINITY];

    fn of(observations: &[f64]) -> Distribution {
        let mut buckets: Vec<(f64, u64)> = BOUNDS.iter().map(|bound| (*bound, 0)).collect();
        for observation in observations {
            let bucket = buckets.iter_mut().find(|(bound, _)| observation <= bound).expect("one is infinite");
            bucket.1 += 1;
        }
        Distribution { sum: observations.iter().sum(), buckets }
    }

    #[test]
    fn values_keep_the_sum_of_observations_and_their_buckets() {
        for observations in [
            &[][..],
            &[0.0],
            &[0.25, 0.25],
            &[0.5, 1.0, 10.0, 900.0],
            &[0.1, 0.6, 0.7, 9.0],
            &[0.1, 2000.0, 4000.0],
            &[900.0, 900.5],
            // All of the sum fits into the finite buckets.
            &[5.5, 902.0],
        ] {
            let distribution = of(observations);
            let values = distribution.values();
            let sum: f64 = values.iter().map(|(value, count)| value * float(*count)).sum();
            assert!((sum - distribution.sum).abs() < 1e-6, "{observations:?}: {values:?}");
            let count: u64 = values.iter().map(|(_, count)| count).sum();
            assert_eq!(count, observations.len() as u64, "{values:?}");
            let mut lower = 0.0;
            for (upper, expected) in &distribution.buckets {
                let is_inside = |value: f64| (lower <= 0.0 || value > lower) && value <= *upper;
                let inside = values.iter().filter(|(value, _)| is_inside(*value));
                assert!(
                    inside.map(|(_, count)| count).sum::<u64>() == *expected,
                    "{observations:?}: {values:?}"
                );
                lower = *upper;
            }
        }
    }

    #[test]
    fn only_what_was_observed_since_counts() {
        let (before, now) = (of(&[0.25, 5.0]), of(&[0.25, 5.0, 0.75, 0.75]));
        assert_eq!(now.since(&before).values(), [(0.75, 2)]);
        assert_eq!(now.since(&now).values(), []);
    }
}
