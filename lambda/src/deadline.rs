//! Divides an invocation's time between handlers, settling, and sending the response.

use std::time::Duration;

use drumline::core::SETTLE_TIME;

/// The longest timeout of a function. See
/// [Lambda quotas](https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
const LONGEST: Duration = Duration::from_secs(900);

/// The earliest deadline that is a time of day. Some local runtimes send the duration of the invocation instead.
const EARLIEST_TIME_OF_DAY: Duration = Duration::from_secs(365 * 24 * 3600);

/// The moments of an invocation, measured from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deadline {
    /// New runs stop, and running handlers are cancelled.
    pub(crate) drain: Duration,
    /// The response is sent, even if jobs are unfinished.
    pub(crate) end: Duration,
}

impl Deadline {
    /// Returns the moments of an invocation that Lambda ends at `deadline`. Both `deadline` and `now` are times since the Unix
    /// epoch.
    ///
    /// `margin` is kept free before `deadline`, and [`SETTLE_TIME`] before that for handlers to stop and for calls to SQS. Each
    /// takes at most half of the time that is left, so that a function with a timeout of one second still works.
    pub(crate) fn of(deadline: Duration, now: Duration, margin: Duration) -> Self {
        let left = if deadline < EARLIEST_TIME_OF_DAY { deadline } else { deadline.saturating_sub(now) };
        let left = left.min(LONGEST);
        let end = left.saturating_sub(margin.min(left / 2));
        Self { drain: end.saturating_sub(SETTLE_TIME.min(end / 2)), end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_kept_for_settling_and_for_the_response() {
        let now = Duration::from_secs(1_800_000_000);
        let ms = Duration::from_millis;
        let table = [
            // (left, margin, drain, end)
            (ms(60_000), ms(1000), ms(56_000), ms(59_000)),
            (ms(6000), ms(1000), ms(2500), ms(5000)),
            (ms(3000), ms(1000), ms(1000), ms(2000)),
            (ms(1000), ms(1000), ms(250), ms(500)),
            (ms(0), ms(1000), ms(0), ms(0)),
            (ms(600_000), ms(5000), ms(592_000), ms(595_000)),
        ];
        for (left, margin, drain, end) in table {
            assert_eq!(Deadline::of(now + left, now, margin), Deadline { drain, end }, "{left:?}");
        }
    }

    #[test]
    fn odd_deadlines_are_survived() {
        let now = Duration::from_secs(1_800_000_000);
        let margin = Duration::from_secs(1);
        let of = |deadline| Deadline::of(deadline, now, margin).end;
        assert_eq!(of(Duration::from_millis(600_000)), Duration::from_secs(599), "a duration, not a time");
        assert_eq!(of(Duration::from_secs(1_799_999_995)), Duration::ZERO, "over already");
        assert_eq!(of(Duration::MAX), Duration::from_secs(899));
        assert_eq!(of(Duration::ZERO), Duration::ZERO);
    }
}
