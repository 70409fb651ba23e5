//! The time when a job is due, and the place where it waits until then.
//!
//! SQS itself delays a message of a standard queue by whole seconds, up to 15 minutes. All other jobs wait in an outbox or with
//! EventBridge Scheduler: longer and exact delays, fixed times, delays for FIFO queues, and unique jobs, which hold their key
//! there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drumline_store::outbox::Due;

use crate::error::Refused;
use crate::options::{MAX_DELAY_SECS, Options};
use crate::target_queue::TargetQueue;
use crate::unique::Unique;

/// The end of the year 9999, in milliseconds since the Unix epoch: later years have no place in RFC 3339.
const LATEST_MS: u64 = 253_402_300_799_999;

/// The instruction to set up an outbox, for jobs that must wait.
pub(crate) const OUTBOX: &str =
    "set DRUMLINE_OUTBOX_URL to postgres://… or redis://… (in code: Producer::outbox)";

/// The alternative for jobs that must wait.
const SCHEDULER: &str = "use EventBridge Scheduler (Producer::scheduler)";

impl Options {
    /// Returns the delay in seconds that SQS itself can apply, or the reason why it cannot: then the job waits elsewhere.
    pub(crate) fn sqs_delay(&self, queue: &TargetQueue) -> Result<Option<u16>, Refused> {
        if self.unique.is_some() {
            return Err(("unique", format!("a unique job holds its key in an outbox: {OUTBOX}")));
        }
        if self.at.is_some() {
            return Err(("at", format!("a job waits for its time in an outbox: {OUTBOX}, or {SCHEDULER}")));
        }
        if self.delay.is_none() && self.spread.is_none() {
            return Ok(None);
        }
        let option = if self.delay.is_some() { "delay" } else { "spread" };
        if queue.is_fifo() {
            return Err((
                option,
                format!(
                    "{} is a FIFO queue, where SQS delays no single message: {OUTBOX}, so that the job joins its group when it is due, \
                     or set DelaySeconds of the queue",
                    queue.name()
                ),
            ));
        }
        let (delay, within) = (self.delay.unwrap_or_default(), self.within());
        let longest = delay.saturating_add(within);
        if longest.as_secs() > MAX_DELAY_SECS || delay.subsec_nanos() > 0 || within.subsec_nanos() > 0 {
            return Err((
                option,
                format!(
                    "SQS delays a message by whole seconds, at most 15 minutes, not by {longest:?}: {OUTBOX}, or {SCHEDULER}"
                ),
            ));
        }
        let offset = self.spread.map_or(0, |spread| spread.offset(within.as_secs()));
        Ok(u16::try_from(delay.as_secs() + offset).ok())
    }

    /// Returns the time when the job is due in the place where it waits: exact to the millisecond, and never earlier than
    /// requested.
    pub(crate) fn due(&self) -> Result<Due, Refused> {
        let quiet = self.unique.as_ref().and_then(Unique::quiet);
        let given = [("at", self.at.is_some()), ("delay", self.delay.is_some()), ("unique", quiet.is_some())];
        let mut given = given.into_iter().filter(|(_, is_given)| *is_given).map(|(option, _)| option);
        let option = given.next().unwrap_or("spread");
        if let Some(other) = given.next() {
            return Err((
                option,
                format!("a job has one time at which it is due: leave {option} or {other} out"),
            ));
        }
        let too_late = || (option, "it is due after the year 9999".to_owned());
        let spread = self.spread.map_or(Some(0), |spread| Some(spread.offset(millis(spread.within)?)));
        let spread = spread.ok_or_else(too_late)?;
        let base = self.at.map_or(Some(0), since_epoch);
        let after = self.delay.or(quiet).map_or(Some(0), millis);
        let after = after.and_then(|after| after.checked_add(spread)).ok_or_else(too_late)?;
        // The outbox's clock measures the delay; this clock only checks it.
        let base = base.ok_or_else(too_late)?;
        let from = if self.at.is_some() { base } else { since_epoch(SystemTime::now()).unwrap_or_default() };
        let due = from.checked_add(after).filter(|due| *due <= LATEST_MS).ok_or_else(too_late)?;
        Ok(match (self.at, after) {
            (Some(_), _) => Due::AtMs(i64::try_from(due).unwrap_or(i64::MAX)),
            (None, 0) => Due::Now,
            (None, after) => Due::After(Duration::from_millis(after)),
        })
    }

    fn within(&self) -> Duration {
        self.spread.map_or(Duration::ZERO, |spread| spread.within)
    }
}

/// Returns the time at which a job is due, if it is not due at once. A delay counts from now.
pub(crate) fn time_of(due: Due) -> Option<SystemTime> {
    match due {
        Due::Now => None,
        Due::After(delay) => SystemTime::now().checked_add(delay),
        Due::AtMs(ms) => UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(ms).unwrap_or_default())),
    }
}

/// Returns the whole milliseconds since the Unix epoch, rounded up. Earlier times are due immediately, so they become 0.
fn since_epoch(time: SystemTime) -> Option<u64> {
    time.duration_since(UNIX_EPOCH).map_or(Some(0), millis)
}

/// Returns whole milliseconds, rounded up; `None` if the number is too large.
fn millis(time: Duration) -> Option<u64> {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).ok()
}

#[cfg(test)]
#[path = "due_tests.rs"]
mod tests;
