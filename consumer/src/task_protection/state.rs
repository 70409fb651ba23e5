//! The decision about protection: the times of requests, and of looks at the runs.

use std::time::Duration;

use tokio::time::Instant;

use super::protector::{EXPIRES_IN_MINUTES, ProtectError};

/// The time after which ECS ends a protection by itself.
const EXPIRES: Duration = Duration::from_secs(EXPIRES_IN_MINUTES * 60);

/// The time between two requests for a continued protection, which allows one more failure before it expires.
const RENEW: Duration = Duration::from_secs(EXPIRES.as_secs() / 3);

/// The time for which a protection outlasts the last run that needed it; without it, runs in close succession would cost two
/// requests each.
const HOLD: Duration = Duration::from_secs(15);

/// The wait after a failed request. ECS allows a few requests a second for a whole cluster.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// The time between two looks at the runs during a protection, and the minimum otherwise.
const LOOK: Duration = Duration::from_secs(1);

/// The known state of the runs and the protection.
pub(super) struct State {
    grace: Duration,
    /// The time at which the oldest run reaches the age of the grace, or has reached it.
    long_from: Option<Instant>,
    /// The time at which a run of that age was last seen.
    long_until: Instant,
    /// The protection; `None` after a request for protection without an answer.
    protection: Option<bool>,
    /// The time at which an unknown protection has expired.
    expired_at: Instant,
    renew_at: Instant,
    not_before: Instant,
}

impl State {
    pub(super) fn new(grace: Duration, now: Instant) -> Self {
        Self {
            grace,
            long_from: None,
            long_until: now,
            protection: Some(false),
            expired_at: now,
            renew_at: now,
            not_before: now,
        }
    }

    /// Returns the state of the protection, if it is known.
    pub(super) fn protection(&self) -> Option<bool> {
        self.protection
    }

    fn may_be_protected(&self, now: Instant) -> bool {
        self.protection.unwrap_or(now < self.expired_at)
    }

    /// Records when the oldest run began.
    pub(super) fn look(&mut self, oldest: Option<Instant>, now: Instant) {
        self.long_from = oldest.map(|began_at| began_at + self.grace);
        if self.has_long_run(now) {
            self.long_until = now;
        }
    }

    fn has_long_run(&self, now: Instant) -> bool {
        self.long_from.is_some_and(|from| from <= now)
    }

    /// Returns the protection to request now, if it must change or be renewed.
    pub(super) fn request(&self, now: Instant) -> Option<bool> {
        let is_protected = self.protection == Some(true);
        let wanted = self.has_long_run(now) || (is_protected && now < self.long_until + HOLD);
        let is_due = if wanted { !is_protected || now >= self.renew_at } else { self.may_be_protected(now) };
        (is_due && now >= self.not_before).then_some(wanted)
    }

    /// Returns the time of the next look, if no request is due now.
    pub(super) fn next_look(&self, now: Instant) -> Instant {
        if self.may_be_protected(now) {
            return now + LOOK;
        }
        // A run that begins after this look reaches the age no sooner than that.
        self.long_from.unwrap_or(now + self.grace.max(LOOK)).max(self.not_before)
    }

    /// Records the answer to a request.
    pub(super) fn answered(&mut self, wanted: bool, result: &Result<(), ProtectError>, now: Instant) {
        match result {
            Ok(()) => {
                self.protection = Some(wanted);
                self.renew_at = now + RENEW;
            }
            Err(ProtectError::Refused(_)) => self.not_before = now + TRY_AGAIN,
            Err(ProtectError::Unanswered(_)) => {
                self.not_before = now + TRY_AGAIN;
                if wanted && self.protection != Some(true) {
                    self.protection = None;
                    self.expired_at = now + EXPIRES;
                }
            }
        }
    }
}
