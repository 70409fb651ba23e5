//! The claim of one run over time: requested, held and renewed, as far as the ledger knows.
//!
//! A claim that is not renewed in time is not lost by that: the store answers [`Ownership::Lost`] if it belongs to another run,
//! and renews an expired one that was not taken. See ADR 0011.
//!
//! [`Ownership::Lost`]: crate::core::Ownership::Lost

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::core::claim::Claim;

/// The longest duration of a claim, for any lease: a crashed worker's job waits this long, because its message may be in
/// another queue or have another id.
const LONGEST_CLAIM: Duration = Duration::from_secs(60);

/// The shortest duration, if a drain is near: enough time for a store to answer.
const SHORTEST_CLAIM: Duration = Duration::from_secs(1);

/// The time for which a run waits for a store that does not answer, with its lease renewed: longer than a restart takes, so
/// that a restart costs no message a receive.
const CLAIM_PATIENCE: Duration = Duration::from_secs(20);

/// The waits between two requests to a store that does not answer: doubled from the first to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// The duration for which a claim is requested and renewed: nine tenths of the lease, so that the claim of a crashed worker has
/// expired when its message is redelivered. At most until `over_in`, if the work here ends then: runs that have not stopped by
/// that time, such as blocking work of a function whose process is frozen, do not count.
pub(crate) fn claim_length(lease: Duration, over_in: Option<Duration>) -> Duration {
    let length = lease.min(LONGEST_CLAIM) * 9 / 10;
    over_in.map_or(length, |over_in| length.min(over_in.max(SHORTEST_CLAIM)))
}

/// The time until its renewal: together with the lease, at half of it.
fn renewal_after(length: Duration) -> Duration {
    length * 5 / 9
}

/// Waits that double.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits(Duration);

impl Waits {
    pub(crate) fn new() -> Self {
        Self(FIRST_WAIT)
    }

    pub(crate) fn next(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (wait * 2).min(LONGEST_WAIT);
        wait
    }
}

/// The claim of a run.
#[derive(Debug)]
pub(crate) enum RunClaim {
    /// The run has none: no claims are kept, or it runs without.
    None,
    /// The run requests one, or has not yet.
    Asking(Asking),
    /// The run has one.
    Kept(ClaimLease),
}

impl RunClaim {
    /// The time at which the ledger must act for it.
    pub(crate) fn next_check(&self) -> Option<Instant> {
        match self {
            Self::None => None,
            Self::Asking(asking) => asking.again_at,
            Self::Kept(lease) => lease.renewal_due(),
        }
    }
}

/// A requested claim.
#[derive(Debug)]
pub(crate) struct Asking {
    asked_at: Instant,
    length: Duration,
    /// The time since when the store does not answer.
    unanswered_since: Option<Instant>,
    /// The time of the next request of the run; `None` during a request.
    again_at: Option<Instant>,
    waits: Waits,
}

impl Asking {
    /// A request at `now` for a claim of this length.
    pub(crate) fn new(now: Instant, length: Duration) -> Self {
        Self { asked_at: now, length, unanswered_since: None, again_at: None, waits: Waits::new() }
    }

    /// The store does not answer. Returns false if the patience with it is over, and has no effect if that is known.
    pub(crate) fn unanswered(&mut self, now: Instant) -> bool {
        let since = *self.unanswered_since.get_or_insert(now);
        if self.again_at.is_none() {
            self.again_at = Some(now + self.waits.next());
        }
        now < since + CLAIM_PATIENCE
    }

    /// Returns true if the run must repeat its request now.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.again_at.is_some_and(|at| at <= now)
    }

    /// The run repeats its request.
    pub(crate) fn ask(&mut self, now: Instant, length: Duration) {
        (self.asked_at, self.length, self.again_at) = (now, length, None);
    }

    /// The run asks no more.
    pub(crate) fn stop(&mut self) {
        self.again_at = None;
    }

    /// The claim was granted.
    pub(crate) fn granted(&self, claim: Arc<Claim>) -> ClaimLease {
        let renew_at = self.asked_at + renewal_after(self.length);
        ClaimLease { claim, length: self.length, renew_at, asked: None, lost: false, is_failing: false }
    }
}

/// A claim that a run holds.
#[derive(Debug)]
pub(crate) struct ClaimLease {
    pub(crate) claim: Arc<Claim>,
    length: Duration,
    renew_at: Instant,
    asked: Option<Renewal>,
    /// The store answers that the claim belongs to another run.
    pub(crate) lost: bool,
    /// The last renewal failed.
    is_failing: bool,
}

/// Renewals in flight.
#[derive(Debug, Clone, Copy)]
struct Renewal {
    first_asked_at: Instant,
    last_asked_at: Instant,
    length: Duration,
}

impl ClaimLease {
    /// Returns the time at which a renewal is due. One without an answer for a sixth of the claim's length is repeated beside
    /// it. `None` for a lost claim.
    pub(crate) fn renewal_due(&self) -> Option<Instant> {
        let due = self.asked.map_or(self.renew_at, |asked| asked.last_asked_at + self.length / 6);
        (!self.lost).then_some(due)
    }

    /// Returns true if a renewal is due now, or `soon` and none is in flight.
    pub(crate) fn is_due(&self, now: Instant, soon: Instant) -> bool {
        let by = if self.asked.is_some() { now } else { soon };
        self.renewal_due().is_some_and(|due| due <= by)
    }

    /// A renewal for `length` is requested.
    pub(crate) fn ask(&mut self, now: Instant, length: Duration) {
        let first_asked_at = self.asked.map_or(now, |asked| asked.first_asked_at);
        self.asked = Some(Renewal { first_asked_at, last_asked_at: now, length });
    }

    /// The claim is kept for that length, counted from the first of the requests in flight.
    pub(crate) fn renewed(&mut self) {
        self.is_failing = false;
        if let Some(Renewal { first_asked_at, length, .. }) = self.asked.take() {
            self.length = length;
            self.renew_at = first_asked_at + renewal_after(length);
        }
    }

    /// A renewal failed, and is retried soon. Returns true for the first failure in a row.
    pub(crate) fn renewal_failed(&mut self, now: Instant) -> bool {
        self.asked = None;
        self.renew_at = now + (self.length / 10).min(Duration::from_secs(2));
        !std::mem::replace(&mut self.is_failing, true)
    }
}
