//! The pace of a replay: the number of letters that may be sent, at a rate that grows at first.
//!
//! If the cause still exists, only few letters fail instead of all, and consumers that scale by the depth of their queue have
//! enough time to scale.

use std::time::Duration;

/// The time until the full rate is reached.
pub const RAMP: Duration = Duration::from_secs(10);

/// The first rate of a replay without a rate, in letters per second.
const FIRST_RATE: f64 = 100.0;

/// The rate at the end of the ramp of a replay without a rate, in letters per second. Afterwards there is no limit.
const LAST_RATE: f64 = 10_000.0;

/// The number of letters in a batch, which may be sent at once at any rate.
const BATCH: f64 = 10.0;

/// The part of a second whose letters may be sent at once after a pause, if they are more than a batch.
const BURST_SECS: f64 = 0.1;

/// A pace. The caller provides the time: since the first send, without the caller's own pauses.
#[derive(Debug, Clone)]
pub struct Pace {
    rate: Option<f64>,
    ramp: Duration,
    /// The number of letters that may be sent now.
    budget: f64,
    at: Duration,
}

impl Pace {
    /// Makes a pace of at most `rate` letters per second, reached within `ramp`. Without a rate, sending is limited only at
    /// first.
    pub fn new(rate: Option<f64>, ramp: Duration) -> Self {
        Self { rate, ramp, budget: 1.0, at: Duration::ZERO }
    }

    /// Returns the number of letters that may be sent now.
    pub fn available(&mut self, now: Duration) -> usize {
        if self.rate.is_none() && now >= self.ramp {
            return usize::MAX;
        }
        let more = self.allowed(now) - self.allowed(self.at);
        let most = BATCH.max(self.rate_at(now) * BURST_SECS);
        self.budget = (self.budget + more.max(0.0)).min(most.max(self.budget));
        self.at = self.at.max(now);
        // The sum of many small parts may be slightly less than a whole letter.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and saturating"
        )]
        let whole = (self.budget + 1e-6).max(0.0) as usize;
        whole
    }

    /// Counts letters that are sent.
    pub fn sent(&mut self, letters: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a batch")]
        let letters = letters as f64;
        self.budget -= letters;
    }

    /// Returns the time until a letter may be sent.
    pub fn wait(&self) -> Duration {
        let missing = 1.0 - self.budget;
        if missing <= 0.0 {
            return Duration::ZERO;
        }
        let rate = self.rate_at(self.at);
        let secs = if self.at >= self.ramp {
            missing / rate
        } else {
            // missing = rate * t + slope * t^2 / 2
            let slope = self.slope();
            ((rate * rate + 2.0 * slope * missing).sqrt() - rate) / slope
        };
        Duration::try_from_secs_f64(secs).unwrap_or(self.ramp).max(Duration::from_millis(1))
    }

    /// Returns the number of letters for the time until `elapsed`, without pauses.
    fn allowed(&self, elapsed: Duration) -> f64 {
        let ramp = elapsed.min(self.ramp).as_secs_f64();
        let ramped = self.first() * ramp + self.slope() * ramp * ramp / 2.0;
        ramped + self.last() * elapsed.saturating_sub(self.ramp).as_secs_f64()
    }

    fn rate_at(&self, elapsed: Duration) -> f64 {
        (self.first() + self.slope() * elapsed.min(self.ramp).as_secs_f64()).min(self.last())
    }

    fn first(&self) -> f64 {
        if self.rate.is_some() { 0.0 } else { FIRST_RATE }
    }

    fn last(&self) -> f64 {
        self.rate.unwrap_or(LAST_RATE)
    }

    fn slope(&self) -> f64 {
        (self.last() - self.first()) / self.ramp.as_secs_f64().max(0.001)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns the number of letters that are sent within `secs` if each is sent as soon as possible.
    fn sent(rate: Option<f64>, secs: u64) -> usize {
        let mut pace = Pace::new(rate, RAMP);
        let (mut now, mut all) = (Duration::ZERO, 0);
        while now <= Duration::from_secs(secs) {
            let letters = pace.available(now).min(10);
            pace.sent(letters);
            all += letters;
            now += pace.wait().max(Duration::from_millis(1));
        }
        all
    }

    #[test]
    fn a_rate_is_reached_within_the_ramp() {
        let table = [(0, 1), (1, 11), (5, 251), (10, 1001), (20, 3001)];
        for (secs, expected) in table {
            let letters = sent(Some(200.0), secs);
            assert!(letters.abs_diff(expected) <= 2, "{letters} instead of {expected} after {secs} s");
        }
        assert_eq!(sent(Some(0.5), 20).abs_diff(8), 0, "a letter in two seconds, half of that in the ramp");
    }

    #[test]
    fn without_a_rate_thousands_are_reached_in_seconds() {
        let mut pace = Pace::new(None, RAMP);
        assert_eq!(pace.available(Duration::ZERO), 1);
        assert!(sent(None, 2) > 2_000, "{}", sent(None, 2));
        assert_eq!(pace.available(RAMP), usize::MAX);
    }

    #[test]
    fn what_was_not_sent_in_a_pause_is_not_made_up_for() {
        let mut pace = Pace::new(Some(200.0), RAMP);
        pace.available(Duration::from_secs(20));
        pace.sent(20);
        assert!(pace.available(Duration::from_secs(60)) <= 20);
    }

    proptest! {
        #[test]
        fn no_second_has_more_than_the_rate_and_a_burst(
            rate in 0.1f64..5_000.0,
            pauses in prop::collection::vec(0u64..3_000, 1..60),
        ) {
            let mut pace = Pace::new(Some(rate), RAMP);
            let mut now = Duration::ZERO;
            let mut sends: Vec<(Duration, usize)> = Vec::new();
            for pause in pauses {
                now += Duration::from_millis(pause);
                let letters = pace.available(now);
                pace.sent(letters);
                sends.push((now, letters));
            }
            for (from, _) in &sends {
                let within = sends.iter().filter(|(at, _)| at >= from && *at < *from + Duration::from_secs(1));
                #[expect(clippy::cast_precision_loss, reason = "a test")]
                let letters = within.map(|(_, letters)| *letters).sum::<usize>() as f64;
                prop_assert!(letters <= rate + BATCH.max(rate * BURST_SECS) + 1.0);
            }
        }

        #[test]
        fn after_the_wait_a_letter_may_be_sent(rate in prop::option::of(0.05f64..5_000.0), at in 0u64..30_000) {
            let mut pace = Pace::new(rate, RAMP);
            let now = Duration::from_millis(at);
            let all = pace.available(now);
            pace.sent(if all == usize::MAX { 10 } else { all });
            prop_assert!(pace.available(now + pace.wait() + Duration::from_millis(1)) > 0);
        }
    }
}
