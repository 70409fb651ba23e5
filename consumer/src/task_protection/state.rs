//! The decision about protection: when it is asked for, and when the runs are looked at.

use std::time::Duration;

use tokio::time::Instant;

use super::protector::EXPIRES_IN_MINUTES;

/// The time between two requests for a protection that continues, so that one more may fail before it has expired.
const RENEW: Duration = Duration::from_secs(EXPIRES_IN_MINUTES * 60 / 3);

/// How long a protection outlasts the last run that needed it: runs that follow each other closely would otherwise cost two requests
/// each.
const HOLD: Duration = Duration::from_secs(15);

/// The wait after a failed request. ECS allows a few requests a second for a whole cluster.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// How often the runs are looked at during a protection.
const LOOK: Duration = Duration::from_secs(1);

/// The runs and the protection, as far as they are known.
pub(super) struct State {
    grace: Duration,
    /// When the oldest run reaches the age of the grace, or has reached it.
    long_from: Option<Instant>,
    /// When a run of that age was last seen.
    long_until: Instant,
    protected: bool,
    renew_at: Instant,
    not_before: Instant,
}

impl State {
    pub(super) fn new(grace: Duration, now: Instant) -> Self {
        Self { grace, long_from: None, long_until: now, protected: false, renew_at: now, not_before: now }
    }

    pub(super) fn is_protected(&self) -> bool {
        self.protected
    }

    /// Learns when the oldest run began.
    pub(super) fn look(&mut self, oldest: Option<Instant>, now: Instant) {
        self.long_from = oldest.map(|began_at| began_at + self.grace);
        if self.has_long_run(now) {
            self.long_until = now;
        }
    }

    fn has_long_run(&self, now: Instant) -> bool {
        self.long_from.is_some_and(|from| from <= now)
    }

    /// Returns the protection to ask for now, if it has to change or to be renewed.
    pub(super) fn request(&self, now: Instant) -> Option<bool> {
        let wanted = self.has_long_run(now) || (self.protected && now < self.long_until + HOLD);
        let is_due = wanted != self.protected || (wanted && now >= self.renew_at);
        (is_due && now >= self.not_before).then_some(wanted)
    }

    /// Returns the time of the next look, if there is nothing to ask for now.
    pub(super) fn next_look(&self, now: Instant) -> Instant {
        if self.protected {
            return now + LOOK;
        }
        // A run that begins after this look reaches the age no sooner than that.
        self.long_from.unwrap_or(now + self.grace).max(self.not_before)
    }

    /// Learns the answer to a request.
    pub(super) fn answered(&mut self, wanted: bool, done: bool, now: Instant) {
        if done {
            self.protected = wanted;
            self.renew_at = now + RENEW;
        } else {
            self.not_before = now + TRY_AGAIN;
        }
    }
}
