//! Decides when to ask the outbox for jobs. No I/O, no clock.

use std::time::Duration;

use tokio::time::Instant;

/// The size of a take from which it may have ended because of its bytes: outboxes limit the bytes of a take, too.
const MANY_BYTES: usize = 8 << 20;

/// The shortest wait after takes without jobs although the outbox reported that jobs may be due.
const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(250);

/// Decides when the outbox is asked for jobs.
#[derive(Debug)]
pub(super) struct Intake {
    batch: usize,
    /// True if the outbox may have due jobs.
    is_asking: bool,
    /// True if the outbox may return more jobs after those in hand are concluded.
    is_more_afterwards: bool,
    empty_takes: u32,
    not_before: Option<Instant>,
}

impl Intake {
    pub(super) fn new(batch: usize) -> Self {
        Self { batch, is_asking: true, is_more_afterwards: true, empty_takes: 0, not_before: None }
    }

    /// Returns true if the outbox should be asked now. `ready` jobs can leave, and `in_hand` jobs are in hand.
    pub(super) fn takes(&mut self, now: Instant, ready: usize, in_hand: usize) -> bool {
        if in_hand == 0 && self.is_more_afterwards {
            self.is_asking = true;
        }
        self.not_before = self.not_before.filter(|at| *at > now);
        self.is_asking && self.not_before.is_none() && ready <= self.batch / 2 && in_hand <= self.batch * 3
    }

    /// Records the size of a take. `in_hand` is the number of jobs in hand when the take began.
    pub(super) fn took(&mut self, now: Instant, jobs: usize, bytes: usize, in_hand: usize) {
        self.is_asking = jobs >= self.batch || bytes >= MANY_BYTES;
        self.is_more_afterwards = jobs > 0 || in_hand > 0;
        if jobs > 0 {
            self.empty_takes = 0;
            self.not_before = None;
        } else {
            let wait = SHORTEST.saturating_mul(1 << self.empty_takes.min(10)).min(LONGEST);
            self.empty_takes += 1;
            self.not_before = Some(now + wait);
        }
    }

    /// Records that jobs may be due: the outbox reported it, or the time for another check has come.
    pub(super) fn wake(&mut self) {
        self.is_asking = true;
    }

    /// Returns true while a wake is waited for.
    pub(super) fn is_waiting(&self) -> bool {
        !self.is_asking
    }

    /// Returns true if no job was due, and no job in hand prevented a take.
    pub(super) fn is_exhausted(&self) -> bool {
        !self.is_asking && !self.is_more_afterwards
    }

    /// Returns the time from which the outbox may be asked again.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.not_before.filter(|_| self.is_asking)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: usize = 100;

    fn after(jobs: usize, bytes: usize, in_hand: usize) -> Intake {
        let mut intake = Intake::new(BATCH);
        intake.took(Instant::now(), jobs, bytes, in_hand);
        intake
    }

    #[test]
    fn a_full_take_is_followed_by_another_as_soon_as_there_is_room() {
        let now = Instant::now();
        for (jobs, bytes, ready, in_hand, takes) in [
            (BATCH, 0, 0, BATCH, true),
            (BATCH, 0, BATCH / 2, BATCH, true),
            (BATCH, 0, BATCH / 2 + 1, BATCH, false),
            (BATCH, 0, 0, 3 * BATCH + 1, false),
            (9, MANY_BYTES, 0, 9, true),
            (9, MANY_BYTES - 1, 0, 9, false),
            // The rest of a group is returned after the jobs before it are concluded.
            (9, 0, 0, 0, true),
            (0, 0, 0, 0, false),
        ] {
            assert_eq!(after(jobs, bytes, 0).takes(now, ready, in_hand), takes, "{jobs} {bytes} {ready}");
        }
    }

    #[test]
    fn after_an_empty_take_the_waits_grow() {
        let mut now = Instant::now();
        let mut intake = after(0, 0, 0);
        assert!(intake.is_exhausted() && intake.is_waiting());
        let mut waits = Vec::new();
        for _ in 0..9 {
            intake.wake();
            assert!(!intake.takes(now, 0, 0));
            let at = intake.wake_at().unwrap_or(now);
            waits.push((at - now).as_millis());
            now = at;
            assert!(intake.takes(now, 0, 0));
            intake.took(now, 0, 0, 0);
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 250, 250, 250]);
        intake.wake();
        intake.took(now, 1, 0, 0);
        assert!(!intake.is_exhausted() && intake.takes(now, 0, 0));
    }

    #[test]
    fn an_empty_take_is_repeated_after_jobs_in_hand_are_concluded() {
        let mut intake = after(0, 0, 3);
        assert!(!intake.is_exhausted());
        let later = Instant::now() + LONGEST;
        assert!(!intake.takes(later, 0, 3) && intake.takes(later, 0, 0));
    }
}
