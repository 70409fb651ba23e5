//! The open questions about CloudWatch, SQS, ECS and Application Auto Scaling, and the combinations of answers that the tests
//! run.

use crate::expression::{Gap, Math};
use crate::metric::Metric;

/// The assumed behaviour where it is open: see the table in `main.rs`.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "each is a question of its own with two answers")]
pub(crate) struct Assumptions {
    pub(crate) math: Math,
    /// The minutes after its end at which a minute's point can be read: for visible messages, SQS's other metrics, and
    /// Container Insights.
    pub(crate) lags: [u32; 3],
    /// The phase of the points that never arrive: every fifth of each metric. `None` if all arrive.
    pub(crate) missing: Option<u32>,
    /// True if all metrics lack the same minutes, false if each lacks another one.
    pub(crate) misses_together: bool,
    /// The periods by which the evaluation range is longer than the evaluation periods.
    pub(crate) extra_range: usize,
    /// True if SQS reports a metric only in minutes in which it is not 0. Visible messages are always reported.
    pub(crate) is_sparse: bool,
    /// True if Container Insights reports nothing for a service without running tasks, as its guide says. False if it reports
    /// 0.
    pub(crate) insights_are_silent: bool,
    /// The minutes between the arrival of a point and the evaluation of the alarm that reads it.
    pub(crate) evaluation_delay: u32,
    /// True if a step policy uses the greatest point of the evaluation periods, false if the newest.
    pub(crate) steps_by_greatest: bool,
    /// The minutes between a scale-out and a running task.
    pub(crate) start_minutes: u32,
    /// True if scale-in removes one task at a time, false if it sets the computed count.
    pub(crate) scales_in_by_one: bool,
}

const EVERY: u32 = 5;

/// The number of values of each assumption.
const VALUES: [usize; 14] = [3, 3, 3, 6, 2, 3, 2, 2, 2, 2, 2, 2, 2, 2];

/// The number of runs. They cover all triples of values of the 248,832 combinations, as a test below counts.
const RUNS: usize = 480;

/// Returns the combinations that are run.
pub(crate) fn assumptions() -> impl Iterator<Item = Assumptions> {
    (0..RUNS).map(|run| Assumptions::new(values(run)))
}

/// Distributes the values of each assumption over the runs, always in the same way (`SplitMix64`).
fn values(run: usize) -> [usize; VALUES.len()] {
    std::array::from_fn(|at| {
        let seed = (run * VALUES.len() + at + 1) as u64;
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) as usize % VALUES[at]
    })
}

impl Assumptions {
    fn new(values: [usize; VALUES.len()]) -> Self {
        let [
            visible,
            queue,
            insights,
            missing,
            together,
            range,
            gap,
            empty,
            sparse,
            silent,
            late,
            greatest,
            start,
            one,
        ] = values;
        Self {
            lags: [visible, queue, insights].map(|lag| lag as u32),
            missing: (missing as u32).checked_sub(1),
            misses_together: together == 1,
            extra_range: [0, 2, 7][range],
            math: Math { gap: [Gap::IsZero, Gap::DropsPoint][gap], fills_empty_series: empty == 1 },
            is_sparse: sparse == 1,
            insights_are_silent: silent == 1,
            evaluation_delay: late as u32,
            steps_by_greatest: greatest == 1,
            start_minutes: [1, 4][start],
            scales_in_by_one: one == 1,
        }
    }

    /// Returns true if a metric's point of this minute never arrives.
    pub(crate) fn misses(&self, metric: Metric, minute: u32) -> bool {
        let shift = if self.misses_together { 0 } else { metric as u32 };
        self.missing.is_some_and(|phase| (minute + shift + phase).is_multiple_of(EVERY))
    }

    /// Returns the lag of a metric.
    pub(crate) fn lag(&self, metric: Metric) -> u32 {
        self.lags[match metric {
            Metric::Visible => 0,
            Metric::Running | Metric::Desired => 2,
            _ => 1,
        }]
    }

    /// Returns the minutes from the beginning of a minute until an alarm has acted on its waiting messages: the minute itself,
    /// its point's lag, one more if points may never arrive (this one, or the count of tasks), and the alarm's evaluation.
    pub(crate) fn until_seen(&self) -> u32 {
        1 + self.lag(Metric::Visible) + u32::from(self.missing.is_some()) + self.evaluation_delay
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_triples_of_values_are_run() {
        let runs: Vec<_> = (0..RUNS).map(values).collect();
        for a in 0..VALUES.len() {
            for b in 0..a {
                for c in 0..b {
                    let seen: BTreeSet<_> = runs.iter().map(|it| (it[a], it[b], it[c])).collect();
                    assert_eq!(seen.len(), VALUES[a] * VALUES[b] * VALUES[c], "{a}, {b}, {c}");
                }
            }
        }
    }

    /// The point of the scenario's own minute is among those that never arrive.
    #[test]
    fn the_first_point_goes_missing_too() {
        for metric in [Metric::Visible, Metric::InFlight, Metric::Running] {
            assert!(assumptions().any(|it| it.misses(metric, 40)), "{metric:?}");
        }
    }

    /// The bound stated in infra/README.md.
    #[test]
    fn a_burst_is_seen_within_three_to_five_minutes() {
        let slowest = |missing: bool, delay: u32| {
            let runs =
                assumptions().filter(|it| it.missing.is_some() == missing && it.evaluation_delay == delay);
            runs.map(|it| it.until_seen()).max()
        };
        assert_eq!([slowest(false, 0), slowest(true, 0)], [Some(3), Some(4)]);
        assert_eq!([slowest(false, 1), slowest(true, 1)], [Some(4), Some(5)]);
    }
}
