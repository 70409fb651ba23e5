//! Settings that do not suit their queue: the start succeeds, but jobs fail later.

use std::collections::BTreeMap;
use std::time::Duration;

use drumline::RetryPolicy;
use drumline::core::UnknownType;
use serde::Serialize;

use crate::aws::QueueFacts;
use crate::settings::QueueSettings;

/// The duration of a rolling deploy, in which some workers know a type and others do not yet.
const DEPLOY: Duration = Duration::from_secs(300);

/// A future problem, and its fix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Its name, such as `R01`.
    pub id: &'static str,
    /// The problem.
    #[serde(rename = "found")]
    pub problem: String,
    /// The consequence.
    pub reason: &'static str,
    /// The fix.
    #[serde(rename = "mend")]
    pub fix: &'static str,
}

/// Diagnoses the settings of a queue together with the queue's own attributes.
///
/// | id | case |
/// |---|---|
/// | R01 | a retry schedule has steps that no message reaches, because the redrive policy moves it before |
/// | R02 | the retries may take longer than the queue keeps a message, so that it is deleted unfinished |
/// | R03 | an unknown type is tried again, but in the DLQ before a deploy can have ended |
/// | R04 | a job may fail more often than the redrive policy lets it be received, so that its limit is never reached |
/// | R05 | the queue has no DLQ, and the settings do not allow that, so that a worker refuses it |
/// | R06 | the queue has no DLQ, and no limit of attempts, so that a job that always fails runs until its message expires |
///
/// R07 to R09 are [of limits](crate::diagnose_limits).
pub fn diagnose(settings: &QueueSettings, facts: &QueueFacts) -> Vec<Diagnostic> {
    // Without a redrive policy a message is retried until it expires, so no number of attempts is too small or too large.
    let Some(redrive) = &facts.redrive else { return without_redrive(settings, facts) };
    let waits = redrive.max_receive_count.saturating_sub(1);
    let limits = settings.retry_limits(Some(facts));
    let fitted = |policy: &RetryPolicy| policy.clone().fitted(&limits);
    let by_type = settings.retries_by_type(&limits).into_iter();
    let mut policies: Vec<(String, RetryPolicy)> = by_type
        .filter(|(name, _)| settings.retry_by_type.contains_key(name))
        .map(|(name, policy)| (format!("the retry policy of {name}"), policy))
        .collect();
    policies.sort_by(|(a, _), (b, _)| a.cmp(b));
    let patience = fitted(&settings.retry).longest_wait(waits);
    policies.insert(0, ("the retry policy".to_owned(), fitted(&settings.retry)));
    let mut advice = Vec::new();
    for (name, policy) in policies {
        if policy.steps().is_some_and(|steps| steps > waits as usize) {
            advice.push(Diagnostic {
                id: "R01",
                problem: format!(
                    "{name}, {policy}, has more waits than the {waits} that maxReceiveCount = {} leaves",
                    redrive.max_receive_count
                ),
                reason: "every try costs a receive, and after that many receives SQS moves the message to the DLQ",
                fix: "raise maxReceiveCount above the number of steps, or leave the last steps out",
            });
        }
        let longest = policy.longest_wait(waits);
        if longest >= facts.retention {
            advice.push(Diagnostic {
                id: "R02",
                problem: format!(
                    "{name}, {policy}, may take {} for {waits} waits, and the queue keeps messages for {}",
                    words(longest),
                    words(facts.retention)
                ),
                reason: "SQS deletes a message at the end of its retention, tried to the end or not, and it never reaches the DLQ",
                fix: "lengthen the queue's retention, lower maxReceiveCount, or shorten the waits",
            });
        }
    }
    let by_type: BTreeMap<_, _> = settings.max_attempts_by_type.iter().collect();
    let by_type = by_type.into_iter().map(|(name, most)| (format!("max_attempts of {name}"), *most));
    let for_queue = settings.max_attempts.map(|most| ("max_attempts".to_owned(), most));
    let limits = for_queue.into_iter().chain(by_type);
    for (name, most) in limits.filter(|(_, most)| most.get() > redrive.max_receive_count) {
        advice.push(Diagnostic {
            id: "R04",
            problem: format!(
                "{name} is {most}, and maxReceiveCount {}: the redrive policy takes a message before",
                redrive.max_receive_count
            ),
            reason: "every attempt costs a receive, and a message that waits for a claim or a lock, or that a shutdown \
                     gives back, costs receives too",
            fix: "raise maxReceiveCount well above max_attempts, or lower max_attempts",
        });
    }
    if settings.unknown_type == UnknownType::Retry && patience < DEPLOY {
        advice.push(Diagnostic {
            id: "R03",
            problem: format!(
                "a message of an unknown type is in the DLQ after {} at most ({}, maxReceiveCount = {})",
                words(patience),
                settings.retry,
                redrive.max_receive_count
            ),
            reason: "while a deploy is under way, workers of the old version receive jobs that only the new one knows",
            fix: "raise maxReceiveCount or lengthen the waits, to five minutes altogether at least; or set unknown_type to reject where no new types come",
        });
    }
    advice
}

/// Returns the advice for a queue without a redrive policy, if that is known.
fn without_redrive(settings: &QueueSettings, facts: &QueueFacts) -> Vec<Diagnostic> {
    if !facts.is_unbounded() {
        return Vec::new();
    }
    match (settings.allow_unbounded, settings.max_attempts) {
        (false, _) => vec![Diagnostic {
            id: "R05",
            problem: "the queue has no DLQ, and allow_unbounded is false".to_owned(),
            reason: "without a DLQ a job that always fails is retried until its message expires, so a worker does not start",
            fix: "give the queue a redrive policy, or set allow_unbounded",
        }],
        (true, None) => vec![Diagnostic {
            id: "R06",
            problem: "the queue has no DLQ, and max_attempts is not set".to_owned(),
            reason: "a job that always fails runs again and again until its message expires",
            fix: "set max_attempts, or give the queue a redrive policy",
        }],
        (true, Some(_)) => Vec::new(),
    }
}

pub(crate) fn words(time: Duration) -> String {
    humantime::format_duration(Duration::from_secs(time.as_secs())).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use super::*;
    use crate::aws::Redrive;
    use crate::settings::Settings;

    fn told(set: &[(&str, &str)], max_receive_count: Option<u32>, retention: Duration) -> Vec<&'static str> {
        let environment = |name: &str| {
            let key = name.strip_prefix("DRUMLINE_")?.to_lowercase();
            let given = set.iter().find(|(set, _)| *set == key).map(|(_, value)| (*value).to_owned());
            given.or((key == "queue_url").then(|| "http://localhost/1/jobs".to_owned()))
        };
        let settings = Settings::read(&BTreeMap::new(), environment, None).unwrap();
        let redrive = max_receive_count
            .map(|max_receive_count| Redrive { dead_letter_target_arn: "arn".to_owned(), max_receive_count });
        let facts = QueueFacts { retention, redrive, redrive_is_known: true, ..QueueFacts::unreadable() };
        diagnose(&settings.queues[0], &facts).into_iter().map(|advice| advice.id).collect()
    }

    /// The settings, maxReceiveCount, the retention, and the expected diagnoses.
    type Row = (&'static [(&'static str, &'static str)], Option<u32>, Duration, &'static [&'static str]);

    const DAYS: Duration = Duration::from_secs(345_600);
    const REJECT: (&str, &str) = ("unknown_type", "reject");
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn settings_and_queue_have_to_go_together() {
        const UNBOUNDED: (&str, &str) = ("allow_unbounded", "true");
        const DOUBLING: (&str, &str) = ("retry", "exponential(1s,2,5m)");
        let table: [Row; 19] = [
            (&[], Some(10), DAYS, &[]),
            (&[], Some(5), DAYS, &[]),
            (&[], Some(2), DAYS, &[]),
            (&[], Some(1000), DAYS, &[]),
            (&[DOUBLING], Some(10), DAYS, &[]),
            (&[DOUBLING], Some(5), DAYS, &["R03"]),
            (&[DOUBLING, REJECT], Some(5), DAYS, &[]),
            (&[("max_attempts", "10")], Some(10), DAYS, &[]),
            (&[("max_attempts", "11")], Some(10), DAYS, &["R04"]),
            (&[], None, DAYS, &["R05"]),
            (&[UNBOUNDED], None, DAYS, &["R06"]),
            (&[UNBOUNDED, ("max_attempts", "5")], None, DAYS, &[]),
            (&[UNBOUNDED], Some(5), DAYS, &[]),
            (&[("retry", "schedule(1m,5m,30m)")], Some(4), DAYS, &[]),
            (&[("retry", "schedule(1m,5m,30m)")], Some(3), DAYS, &["R01"]),
            (&[("retry", "schedule(20m,30m,10m)")], Some(4), HOUR, &["R02"]),
            (&[("retry", "schedule(10m,30m,10m)")], Some(4), HOUR, &["R02"]),
            (&[("retry", "schedule(10m,25m,10m)")], Some(4), HOUR, &[]),
            (&[("retry", "schedule(1h)"), REJECT], Some(1), HOUR, &["R01"]),
        ];
        for (set, max_receive_count, retention, expected) in table {
            assert_eq!(told(set, max_receive_count, retention), expected, "{set:?} {max_receive_count:?}");
        }
    }
}
