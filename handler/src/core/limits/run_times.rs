//! The run times of the jobs of one type.

use std::time::Duration;

/// The estimate before the first run has ended. If it is too short, a message is received one time too many.
const GUESS: Duration = Duration::from_secs(1);

/// The share of the newest run in the mean, as a divisor.
const SHARE: u32 = 8;

/// The mean time of the runs of one type, the newest ones counting most.
#[derive(Debug, Default)]
pub(super) struct RunTimes(Option<Duration>);

impl RunTimes {
    /// Adds a run that took this long.
    pub(super) fn add(&mut self, took: Duration) {
        self.0 = Some(match self.0 {
            None => took,
            Some(mean) => mean.saturating_sub(mean / SHARE) + took / SHARE,
        });
    }

    /// The mean time, or an estimate.
    pub(super) fn mean(&self) -> Duration {
        self.0.unwrap_or(GUESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_follows_the_runs() {
        let mut times = RunTimes::default();
        assert_eq!(times.mean(), GUESS);
        times.add(Duration::from_millis(80));
        assert_eq!(times.mean(), Duration::from_millis(80));
        times.add(Duration::from_millis(160));
        assert_eq!(times.mean(), Duration::from_millis(90));
        for _ in 0..100 {
            times.add(Duration::from_secs(3));
        }
        assert!((2990..=3000).contains(&times.mean().as_millis()), "{:?}", times.mean());
    }
}
