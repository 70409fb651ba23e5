//! The decision about protection: when it is asked for, and when the runs are looked at.

use std::time::Duration;

use tokio::time::Instant;

use super::protector::{EXPIRES_IN_MINUTES, ProtectError};

/// The time after which ECS ends a protection by itself.
const EXPIRES: Duration = Duration::from_secs(EXPIRES_IN_MINUTES * 60);

/// The time between two requests for a protection that continues, so that one more may fail before it has expired.
const RENEW: Duration = Duration::from_secs(EXPIRES.as_secs() / 3);

/// The time by which a protection outlasts the last run that needed it: runs that follow each other closely would otherwise cost two requests
/// each.
const HOLD: Duration = Duration::from_secs(15);

/// The wait after a failed request. ECS allows a few requests a second for a whole cluster.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// The time between two looks at the runs during a protection, and the least one else.
const LOOK: Duration = Duration::from_secs(1);

/// The runs and the protection, as far as they are known.
pub(super) struct State {
    grace: Duration,
    /// The time at which the oldest run reaches the age of the grace, or has reached it.
    long_from: Option<Instant>,
    /// The time at which a run of that age was last seen.
    long_until: Instant,
    /// `None` after a request for protection whose answer is missing.
    protection: Option<bool>,
    /// The time at which a protection of which nothing is known has expired.
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
        let is_protected = self.protection == Some(true);
        let wanted = self.has_long_run(now) || (is_protected && now < self.long_until + HOLD);
        let is_due = if wanted { !is_protected || now >= self.renew_at } else { self.may_be_protected(now) };
        (is_due && now >= self.not_before).then_some(wanted)
    }

    /// Returns the time of the next look, if there is nothing to ask for now.
    pub(super) fn next_look(&self, now: Instant) -> Instant {
        if self.may_be_protected(now) {
            return now + LOOK;
        }
        // A run that begins after this look reaches the age no sooner than that.
        self.long_from.unwrap_or(now + self.grace.max(LOOK)).max(self.not_before)
    }

    /// Learns the answer to a request.
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
