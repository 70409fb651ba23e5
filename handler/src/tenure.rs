//! For how long a run's claim is ours: what is asked for, renewed by the ledger's beat, and lost.

use std::time::{Duration, Instant};

/// The longest that a claim is asked for, whatever the lease: so long a crashed worker's job waits, although its message
/// may be in another queue or under another id.
const LONGEST_CLAIM: Duration = Duration::from_secs(60);

/// The shortest, where a drain is near: time for a store to answer in.
const SHORTEST_CLAIM: Duration = Duration::from_secs(1);

/// How long a claim is asked for, and renewed: nine tenths of the lease, so that what a crashed worker leaves is free by
/// the time its message comes back. No longer than until `over_in`, where everything here is to be over then: what has not
/// stopped by that time, such as blocking work of a function whose process is frozen, is not waited for.
pub(crate) fn claim_length(lease: Duration, over_in: Option<Duration>) -> Duration {
    let length = lease.min(LONGEST_CLAIM) * 9 / 10;
    over_in.map_or(length, |over_in| length.min(over_in.max(SHORTEST_CLAIM)))
}

/// When it is renewed: together with the lease, at half of that.
fn renewal_after(length: Duration) -> Duration {
    length * 5 / 9
}

/// A run's claim, as far as the ledger knows. It holds from the run's start, although the claim is granted a little
/// later and so lasts a little longer.
#[derive(Debug)]
pub(crate) struct Tenure {
    length: Duration,
    until: Instant,
    renew_at: Instant,
    /// When a renewal was asked for, and for how long.
    asked: Option<(Instant, Duration)>,
}

impl Tenure {
    pub(crate) fn new(now: Instant, length: Duration) -> Self {
        Self { length, until: now + length, renew_at: now + renewal_after(length), asked: None }
    }

    /// From when on the claim may be somebody else's.
    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    /// When a renewal is due; `None` while one is in the air.
    pub(crate) fn renewal_due(&self) -> Option<Instant> {
        self.asked.is_none().then_some(self.renew_at)
    }

    pub(crate) fn asked(&mut self, now: Instant, length: Duration) {
        self.asked = Some((now, length));
    }

    pub(crate) fn renewed(&mut self) {
        if let Some((asked_at, length)) = self.asked.take() {
            self.length = length;
            self.until = self.until.max(asked_at + length);
            self.renew_at = asked_at + renewal_after(length);
        }
    }

    /// Soon again, so that several tries fit into what is left.
    pub(crate) fn renewal_failed(&mut self, now: Instant) {
        self.asked = None;
        self.renew_at = now + (self.length / 10).min(Duration::from_secs(2));
    }

    pub(crate) fn next_check(&self) -> Instant {
        self.renewal_due().map_or(self.until, |due| due.min(self.until))
    }
}
