//! Jobs that wait in an outbox: the conditions for it, and the times when they are due.

use std::time::Duration;

use drumline_producer::MAX_UNIQUE_WINDOW;
use drumline_store::outbox::{Due, OutboxJob, Unique};
use jiff::Timestamp;

/// The longest delay of SQS, in whole seconds. See
/// [SendMessage](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html).
const MAX_SQS_DELAY: Duration = Duration::from_secs(900);

/// The instruction to set up an outbox, for jobs that must wait.
pub(super) const OUTBOX: &str = "set DRUMLINE_OUTBOX_URL to postgres://… or redis://…";

/// The time when a job goes to its queue.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Timing {
    /// Now, with a delay in seconds by SQS.
    Queue(Option<u16>),
    /// When it is due, from an outbox.
    Outbox(Due),
}

/// The requested time options of a job.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) at: Option<Timestamp>,
    pub(super) delay: Option<Duration>,
    pub(super) spread: Option<Duration>,
    pub(super) is_unique: bool,
}

impl Wanted {
    /// Returns the reason why SQS cannot do this by itself, if there is one.
    pub(super) fn needs_outbox(&self, is_fifo: bool) -> Option<String> {
        let (delay, spread) = (self.delay.unwrap_or_default(), self.spread.unwrap_or_default());
        if self.at.is_some() {
            Some("a job waits for its time in an outbox".to_owned())
        } else if self.is_unique {
            Some("a unique job holds its key in an outbox".to_owned())
        } else if is_fifo && (self.delay.is_some() || self.spread.is_some()) {
            Some("a FIFO queue takes no delay for single messages: from an outbox, each joins its group when it is due".to_owned())
        } else if delay.saturating_add(spread) > MAX_SQS_DELAY
            || delay.subsec_nanos() > 0
            || spread.subsec_nanos() > 0
        {
            Some(
                "the delay: SQS delays a message by whole seconds, --delay and --spread at most 15m together"
                    .to_owned(),
            )
        } else {
            None
        }
    }

    /// Returns the time when the job goes to its queue. `part` returns the job's part of the spread, in any unit.
    pub(super) fn timing(&self, is_fifo: bool, part: impl Fn(u64) -> u64) -> Result<Timing, String> {
        if self.at.is_some() && self.delay.is_some() {
            return Err("it has a time and a delay: give one of them".to_owned());
        }
        if self.needs_outbox(is_fifo).is_none() {
            if self.delay.is_none() && self.spread.is_none() {
                return Ok(Timing::Queue(None));
            }
            let offset = self.spread.map_or(0, |spread| part(spread.as_secs()));
            let secs = self.delay.unwrap_or_default().as_secs() + offset;
            return Ok(Timing::Queue(u16::try_from(secs).ok()));
        }
        let too_long = || "it is due too late".to_owned();
        let after = millis(self.delay).ok_or_else(too_long)?;
        let after =
            after.checked_add(part(millis(self.spread).ok_or_else(too_long)?)).ok_or_else(too_long)?;
        Ok(Timing::Outbox(match self.at {
            Some(at) => {
                let at = millis_of(at).checked_add_unsigned(after);
                Due::AtMs(at.ok_or_else(too_long)?)
            }
            None if after == 0 => Due::Now,
            None => Due::After(Duration::from_millis(after)),
        }))
    }
}

/// Returns whole milliseconds, rounded up.
fn millis(time: Option<Duration>) -> Option<u64> {
    u64::try_from(time.unwrap_or_default().as_nanos().div_ceil(1_000_000)).ok()
}

/// Returns whole milliseconds since the Unix epoch, rounded up.
fn millis_of(time: Timestamp) -> i64 {
    let millis = time.as_millisecond();
    millis + i64::from(time > Timestamp::from_millisecond(millis).unwrap_or(time))
}

/// A job as the outbox stores it.
pub(super) struct Row {
    pub(super) job: OutboxJob,
    pub(super) unique: Option<Unique>,
}

/// A job that waits: its row, and the index of its queue.
pub(super) struct Waiting {
    pub(super) row: Row,
    pub(super) queue: usize,
}

/// Parses a time from the command line or a column.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    let wrong =
        |_| format!("{text:?} is not a time such as 2027-01-01T09:00:00Z or 2027-01-01T09:00:00+01:00");
    text.parse().map_err(wrong)
}

/// Parses the time for which a job holds its unique key.
pub(super) fn window(text: &str) -> Result<Duration, String> {
    let window = delay(text)?;
    if window.is_zero() || window > MAX_UNIQUE_WINDOW {
        return Err("a key is held for some time, and for 366 days at most".to_owned());
    }
    Ok(window)
}

pub(super) fn delay(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| format!("{text:?} is not a duration such as 30s"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_unique_key_is_held_for_some_time_and_a_year_at_most() {
        for (text, is_taken) in
            [("1s", true), ("366d", true), ("0s", false), ("367d", false), ("soon", false)]
        {
            assert_eq!(window(text).is_ok(), is_taken, "{text}");
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "the options of a job are optional")]
    fn secs(secs: u64) -> Option<Duration> {
        Some(Duration::from_secs(secs))
    }

    #[test]
    fn what_sqs_cannot_do_waits_in_an_outbox() {
        let at = |text: &str| Some(time(text).unwrap());
        let year = Duration::from_secs(31_536_000);
        let none = Wanted::default;
        let table = [
            (none(), false, Ok(Timing::Queue(None))),
            (none(), true, Ok(Timing::Queue(None))),
            (Wanted { delay: secs(0), ..none() }, false, Ok(Timing::Queue(Some(0)))),
            (Wanted { delay: secs(600), spread: secs(300), ..none() }, false, Ok(Timing::Queue(Some(750)))),
            (
                Wanted { delay: secs(600), spread: secs(302), ..none() },
                false,
                Ok(Timing::Outbox(Due::After(Duration::from_secs(751)))),
            ),
            (
                Wanted { delay: secs(1), ..none() },
                true,
                Ok(Timing::Outbox(Due::After(Duration::from_secs(1)))),
            ),
            (
                Wanted { delay: Some(Duration::from_nanos(1)), ..none() },
                false,
                Ok(Timing::Outbox(Due::After(Duration::from_millis(1)))),
            ),
            (Wanted { delay: Some(year), ..none() }, false, Ok(Timing::Outbox(Due::After(year)))),
            (
                Wanted { at: at("1970-01-01T00:00:01.0001Z"), ..none() },
                false,
                Ok(Timing::Outbox(Due::AtMs(1_001))),
            ),
            (
                Wanted { at: at("1970-01-01T01:00:01+01:00"), spread: secs(2), ..none() },
                true,
                Ok(Timing::Outbox(Due::AtMs(2_000))),
            ),
            (Wanted { is_unique: true, ..none() }, false, Ok(Timing::Outbox(Due::Now))),
            (
                Wanted { at: at("1970-01-01T00:00:01Z"), delay: secs(1), ..none() },
                false,
                Err("a time and a delay"),
            ),
            (Wanted { delay: Some(Duration::MAX), ..none() }, false, Err("too late")),
        ];
        for (wanted, is_fifo, expected) in table {
            match (wanted.timing(is_fifo, |units| units / 2), expected) {
                (Ok(timing), Ok(expected)) => assert_eq!(timing, expected, "{wanted:?}"),
                (Err(error), Err(says)) => assert!(error.contains(says), "{error}"),
                (timing, expected) => panic!("{wanted:?}: {timing:?}, not {expected:?}"),
            }
        }
        for text in ["2027-01-01", "2027-01-01T09:00:00", "tomorrow"] {
            assert!(time(text).unwrap_err().contains("is not a time such as"), "{text}");
        }
    }
}
