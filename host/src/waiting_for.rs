//! The causes of the wait of jobs, in one sentence.

use std::time::{Duration, Instant};

use drumline::core::{ClosedLimit, LimitReason, TypeSnapshot};

/// The maximum number of types in the text; further ones are counted.
pub(crate) const MAX_NAMED: usize = 10;

/// Returns what the jobs of limited types wait for, such as `3 jobs of email.send wait for their rate (50/s), next in 20 ms`. `None` if
/// none waits, and no type is closed. It holds no reason that a handler or an operator has given: it may be shown to every client.
///
/// ```
/// use drumline::core::{LimitReason, TypeSnapshot};
/// # #[allow(clippy::disallowed_methods)]
/// let now = std::time::Instant::now();
/// let mut mail = TypeSnapshot { job_type: "mail".into(), ..TypeSnapshot::default() };
/// mail.waiting.insert(LimitReason::Cpu, 2);
/// assert_eq!(drumline_runtime::waiting_for(&[mail], now).as_deref(), Some("2 jobs of mail wait for a core"));
/// ```
pub fn waiting_for(types: &[TypeSnapshot], now: Instant) -> Option<String> {
    let mut named: Vec<String> = types.iter().filter_map(|of_type| of_one(of_type, now)).collect();
    let more = named.len().saturating_sub(MAX_NAMED);
    named.truncate(MAX_NAMED);
    if more > 0 {
        named.push(format!("{more} more type{} wait{}", plural(more), singular(more)));
    }
    (!named.is_empty()).then(|| named.join("; "))
}

fn of_one(of_type: &TypeSnapshot, now: Instant) -> Option<String> {
    let mut parts: Vec<String> = of_type.closed.iter().map(|limit| closed(of_type, limit, now)).collect();
    for (reason, count) in of_type.waiting.iter().filter(|(_, count)| **count > 0) {
        let is_named = of_type.closed.iter().any(|limit| limit.reason == *reason);
        if !is_named {
            parts.push(waits(of_type, *reason, *count, now));
        }
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn closed(of_type: &TypeSnapshot, limit: &ClosedLimit, now: Instant) -> String {
    let is_what = match limit.reason {
        LimitReason::Throttled => "is throttled",
        LimitReason::Breaker => "is stopped by its breaker",
        LimitReason::Operator => "is paused by an operator",
        _ => "is closed",
    };
    let left = limit.until.map(|until| until.saturating_duration_since(now));
    let left = match left {
        None => String::new(),
        Some(left) if left.is_zero() => " until one of its jobs shows that it is over".to_owned(),
        Some(left) => format!(" for {} more", words(left)),
    };
    let waiting = match of_type.waiting.get(&limit.reason) {
        None | Some(0) => String::new(),
        Some(count) => format!(" ({count} job{} wait{})", plural(*count), singular(*count)),
    };
    format!("{} {is_what}{left}{waiting}", of_type.job_type)
}

fn waits(of_type: &TypeSnapshot, reason: LimitReason, count: usize, now: Instant) -> String {
    let (noun, verb) = (plural(count), singular(count));
    let its = if count == 1 { "its" } else { "their" };
    let for_what = match reason {
        LimitReason::Concurrency => match of_type.slots {
            Some(slots) => format!("a slot ({} of {slots} run)", of_type.running),
            None => "a slot".to_owned(),
        },
        LimitReason::Cpu => "a core".to_owned(),
        LimitReason::Rate => match &of_type.rate {
            Some(rate) => {
                let next = rate.next.map(|next| next.saturating_duration_since(now));
                let next = next.map(|next| format!(", next in {}", words(next))).unwrap_or_default();
                format!("{its} rate ({}){next}", rate.rate)
            }
            None => format!("{its} rate"),
        },
        LimitReason::Throttled => "the end of a throttle".to_owned(),
        LimitReason::Breaker => "the breaker".to_owned(),
        LimitReason::Operator => "an operator".to_owned(),
        LimitReason::RateStore => {
            "the store that workers share their rate by, which does not answer".to_owned()
        }
        LimitReason::Tenant => format!("{its} tenant's share"),
        _ => "a limit".to_owned(),
    };
    format!("{count} job{noun} of {} wait{verb} for {for_what}", of_type.job_type)
}

pub(crate) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

pub(crate) fn singular(count: usize) -> &'static str {
    if count == 1 { "s" } else { "" }
}

/// Returns a time for people: milliseconds below a second, else whole seconds, rounded up.
pub(crate) fn words(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        return format!("{} ms", time.as_millis());
    }
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    if seconds < 60 {
        format!("{seconds} s")
    } else {
        humantime::format_duration(Duration::from_secs(seconds)).to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::num::NonZeroUsize;

    use drumline::core::RateSnapshot;

    use super::*;

    const TYPE: &str = "email.send";

    fn of(waiting: &[(LimitReason, usize)]) -> TypeSnapshot {
        TypeSnapshot {
            job_type: TYPE.into(),
            running: 5,
            slots: NonZeroUsize::new(5),
            waiting: waiting.iter().copied().collect(),
            ..TypeSnapshot::default()
        }
    }

    fn closed_for(reason: LimitReason, until: Option<Instant>, now: Instant, waiting: usize) -> TypeSnapshot {
        let why = Some("a handler's own words".into());
        let closed = vec![ClosedLimit { reason, since: now, until, why }];
        TypeSnapshot { closed, ..of(&[(reason, waiting)]) }
    }

    #[test]
    fn each_wait_is_named_in_words() {
        let now = tokio::time::Instant::now().into_std();
        let in_ms = |ms| Some(now + Duration::from_millis(ms));
        let rated = |next| {
            let rate = Some(RateSnapshot { rate: "50/s".parse().unwrap(), tokens: Some(0), next });
            TypeSnapshot { rate, ..of(&[(LimitReason::Rate, 3)]) }
        };
        let table = [
            (of(&[]), None),
            (of(&[(LimitReason::Rate, 0)]), None),
            (of(&[(LimitReason::Concurrency, 3)]), Some("3 jobs of email.send wait for a slot (5 of 5 run)")),
            (of(&[(LimitReason::Concurrency, 1)]), Some("1 job of email.send waits for a slot (5 of 5 run)")),
            (of(&[(LimitReason::Cpu, 2)]), Some("2 jobs of email.send wait for a core")),
            (of(&[(LimitReason::Tenant, 1)]), Some("1 job of email.send waits for its tenant's share")),
            (of(&[(LimitReason::Tenant, 2)]), Some("2 jobs of email.send wait for their tenant's share")),
            (rated(None), Some("3 jobs of email.send wait for their rate (50/s)")),
            (rated(in_ms(20)), Some("3 jobs of email.send wait for their rate (50/s), next in 20 ms")),
            (
                closed_for(LimitReason::Throttled, in_ms(11_500), now, 0),
                Some("email.send is throttled for 12 s more"),
            ),
            (
                closed_for(LimitReason::Throttled, in_ms(90_000), now, 2),
                Some("email.send is throttled for 1m 30s more (2 jobs wait)"),
            ),
            (
                closed_for(LimitReason::Breaker, in_ms(400), now, 1),
                Some("email.send is stopped by its breaker for 400 ms more (1 job waits)"),
            ),
            (
                closed_for(LimitReason::Throttled, Some(now), now, 0),
                Some("email.send is throttled until one of its jobs shows that it is over"),
            ),
            (closed_for(LimitReason::Operator, None, now, 0), Some("email.send is paused by an operator")),
            (
                of(&[(LimitReason::Cpu, 1), (LimitReason::Tenant, 4)]),
                Some(
                    "1 job of email.send waits for a core; 4 jobs of email.send wait for their tenant's share",
                ),
            ),
        ];
        for (of_type, expected) in table {
            assert_eq!(waiting_for(std::slice::from_ref(&of_type), now).as_deref(), expected, "{of_type:?}");
        }
        assert_eq!(waiting_for(&[], now), None);
    }

    #[test]
    fn the_sentence_is_bounded() {
        let now = tokio::time::Instant::now().into_std();
        let sentence = waiting_for(&vec![of(&[(LimitReason::Cpu, 1)]); MAX_NAMED + 3], now).unwrap();
        assert_eq!(sentence.matches("email.send").count(), MAX_NAMED);
        assert!(sentence.ends_with("; 3 more types wait"), "{sentence}");
    }
}
