//! Limits that suit neither the worker nor its queues.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use drumline::core::{JobKind, LimitRules, TypeRules};

use crate::aws::QueueFacts;
use crate::diagnostics::{Diagnostic, words};
use crate::settings::Settings;
use crate::waiting_for::plural;

/// The number of jobs of a type that must start while a message of its queue exists; otherwise a backlog of any size expires.
const FEW_JOBS: u64 = 1000;

/// Diagnoses the limits of a worker.
///
/// | id | case |
/// |---|---|
/// | R07 | as many jobs of a type may run at once as the worker runs at all, or more, so that its limit does nothing |
/// | R08 | more jobs of a type that computes may run at once than the process has cores, which limit it first |
/// | R09 | a rate is so slow that the queue deletes the messages of a small backlog before it reaches them ([`diagnose_rates`]) |
pub fn diagnose_limits(settings: &Settings) -> Vec<Diagnostic> {
    let Settings { limits, queues, shared_slots, .. } = settings;
    let slots = shared_slots
        .map_or_else(|| queues.iter().map(|queue| queue.concurrency.get()).sum(), NonZeroUsize::get);
    let mut found = Vec::new();
    for (name, rules) in by_name(limits) {
        let Some(most) = rules.concurrency.map(NonZeroUsize::get) else { continue };
        if rules.kind == JobKind::Cpu && most > limits.cores.get() {
            found.push(Diagnostic {
                id: "R08",
                problem: format!("the concurrency of {name} is {most}, and the process has {} cores", limits.cores),
                reason: "jobs of kind cpu run at most as many at once as the process has cores, over all such types",
                fix: "lower the concurrency below the number of cores, or leave it out",
            });
        } else if !queues.is_empty() && most >= slots {
            found.push(Diagnostic {
                id: "R07",
                problem: format!(
                    "the concurrency of {name} is {most}, and the worker runs {slots} job{} at once",
                    plural(slots)
                ),
                reason: "a limit that is not below the worker's own does nothing: its jobs take all slots",
                fix: "lower the concurrency of the type, or raise that of the queue",
            });
        }
    }
    found
}

/// Diagnoses the rates of job types for a queue: R09.
pub fn diagnose_rates(limits: &LimitRules, facts: &QueueFacts) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (name, rules) in by_name(limits) {
        // Each key has its own rate, and the backlog of each is small.
        let Some(rule) = rules.rate.as_ref().filter(|rule| rule.key.is_none()) else { continue };
        let (kept, per) = (facts.retention.as_secs(), rule.rate.per().as_secs().max(1));
        let started = u64::from(rule.rate.count().get()).saturating_mul(kept) / per;
        if started < FEW_JOBS {
            found.push(Diagnostic {
                id: "R09",
                problem: format!(
                    "the rate of {name}, {}, starts {started} jobs in the {} for which the queue keeps messages",
                    rule.rate,
                    words(facts.retention)
                ),
                reason: "SQS deletes the messages of a longer backlog before the rate reaches them, and they never reach the DLQ",
                fix: "raise the rate, or lengthen the queue's retention",
            });
        }
    }
    found
}

/// Returns the rules in the order of their types.
fn by_name(limits: &LimitRules) -> BTreeMap<&str, &TypeRules> {
    limits.types.iter().map(|(name, rules)| (name.as_str(), rules)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    fn settings(file: &str) -> Settings {
        let on_disk = tempfile::NamedTempFile::new().unwrap();
        let queues = "queue_url = \"http://localhost/1/jobs\"\nconcurrency = 8\n";
        std::fs::write(on_disk.path(), format!("{queues}{file}")).unwrap();
        Settings::read(&BTreeMap::new(), |_| None, Some(on_disk.path())).unwrap()
    }

    #[test]
    fn a_concurrency_has_to_be_below_the_workers_and_the_cores() {
        let table: [(&str, &[&str]); 7] = [
            ("", &[]),
            ("[limits.a]\nconcurrency = 7", &[]),
            ("[limits.a]\nconcurrency = 8", &["R07"]),
            ("[limits.a]\nkind = \"cpu\"", &[]),
            ("[limits.a]\nkind = \"cpu\"\nconcurrency = 4", &[]),
            ("[limits.a]\nkind = \"cpu\"\nconcurrency = 5", &["R08"]),
            ("[limits.b]\nkind = \"cpu\"\nconcurrency = 9\n[limits.a]\nconcurrency = 9", &["R07", "R08"]),
        ];
        for (file, expected) in table {
            let mut settings = settings(file);
            settings.limits.cores = NonZeroUsize::new(4).unwrap();
            let found = diagnose_limits(&settings);
            assert_eq!(found.iter().map(|found| found.id).collect::<Vec<_>>(), expected, "{file}");
            settings.queues.clear();
            let without_queues = diagnose_limits(&settings);
            assert!(
                without_queues.iter().all(|found| found.id == "R08"),
                "a function's batches are not known"
            );
        }
    }

    #[test]
    fn a_rate_has_to_reach_what_the_queue_keeps() {
        let days = |count: u64| Duration::from_secs(count * 86_400);
        let table = [
            ("50/s", "", days(4), None),
            ("1/m", "", days(4), None),
            ("10/h", "", days(4), Some("the rate of a, 10/h, starts 960 jobs in the 4days")),
            ("11/h", "", days(4), None),
            ("10/h", "", days(14), None),
            ("1/s", "", Duration::from_secs(60), Some("the rate of a, 1/s, starts 60 jobs in the 1m ")),
            ("10/h", "key = \"/customer\"", days(4), None),
        ];
        for (rate, more, retention, expected) in table {
            let settings = settings(&format!("[limits.a]\nrate = \"{rate}\"\n{more}"));
            let facts = QueueFacts { retention, ..QueueFacts::unreadable() };
            let found = diagnose_rates(&settings.limits, &facts);
            assert_eq!(found.len(), usize::from(expected.is_some()), "{rate}");
            if let Some(expected) = expected {
                assert!(found[0].problem.contains(expected), "{}", found[0].problem);
            }
        }
    }
}
