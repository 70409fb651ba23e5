//! The run times of a running consumer's handlers, from its metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use drumline_runtime::{Diagnostic, QueueSettings};

/// The share of runs that must be within a limit.
const MOST: f64 = 0.95;

/// With fewer runs than this, there is no diagnosis.
const ENOUGH: u64 = 20;

/// The run times of a queue's handlers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Observed {
    /// The time within which 95 of 100 runs ended, according to the histogram; `None` if it is above the highest bucket.
    pub(crate) most_within: Option<Duration>,
    /// The number of runs.
    pub(crate) runs: u64,
}

/// Reads the histogram of a queue's job types from the text of `/metrics`. `counts_type` selects the types. Returns `None` if
/// there were too few runs.
pub(crate) fn observe(metrics: &str, queue: &str, counts_type: impl Fn(&str) -> bool) -> Option<Observed> {
    let label = format!("queue=\"{queue}\"");
    // The counts by limit, in the text's order, which is ascending, summed over the job types.
    let mut counts: Vec<(String, u64)> = Vec::new();
    for line in metrics.lines().filter(|line| line.starts_with("drumline_job_duration_seconds_bucket{")) {
        let (labels, count) = line.rsplit_once("} ")?;
        let job_type = labels.split("type=\"").nth(1).and_then(|rest| rest.split('"').next());
        if !labels.contains(&label) || !job_type.is_some_and(&counts_type) {
            continue;
        }
        let limit = labels.split("le=\"").nth(1)?.split('"').next()?.to_owned();
        let count: u64 = count.split(' ').next()?.parse().ok()?;
        match counts.iter_mut().find(|(known, _)| *known == limit) {
            Some((_, sum)) => *sum += count,
            None => counts.push((limit, count)),
        }
    }
    let runs = counts.iter().map(|(_, count)| *count).max()?;
    if runs < ENOUGH {
        return None;
    }
    #[allow(clippy::cast_precision_loss, reason = "a share of counts that are far below 2^52")]
    let within = counts.iter().find(|(_, count)| *count as f64 >= MOST * runs as f64)?;
    let most_within = within.0.parse().ok().filter(|secs: &f64| secs.is_finite());
    Some(Observed { most_within: most_within.map(Duration::from_secs_f64), runs })
}

impl Observed {
    /// Compares these times with the settings.
    ///
    /// | id | condition |
    /// |---|---|
    /// | D01 | handlers take longer than a lease, so that every job needs renewals |
    /// | D02 | handlers take longer than the shutdown grace, so that every deploy interrupts some |
    pub(crate) fn diagnose(
        &self,
        settings: &QueueSettings,
        visibility: Duration,
        grace: Duration,
    ) -> Vec<Diagnostic> {
        let mut advice = Vec::new();
        let lease = settings.visibility_timeout.unwrap_or(visibility);
        if self.is_longer(lease) {
            advice.push(Diagnostic {
                id: "D01",
                problem: self.problem("the visibility timeout", lease),
                reason: "every job costs renewals, and a slow moment of SQS costs leases",
                fix: "raise the queue's visibility timeout above the usual time of a handler",
            });
        }
        if self.is_longer(grace) {
            advice.push(Diagnostic {
                id: "D02",
                problem: self.problem("the shutdown grace", grace),
                reason: "every deploy and every scale-in interrupts running handlers, whose work is done again",
                fix: "raise DRUMLINE_SHUTDOWN_GRACE and the platform's stop timeout; on ECS set DRUMLINE_TASK_PROTECTION=on",
            });
        }
        advice
    }

    /// Returns the diagnosis D03 if handlers come near this timeout.
    fn advise_timeout(&self, name: &str, timeout: Duration, fix: &'static str) -> Option<Diagnostic> {
        self.is_longer(timeout.mul_f64(0.8)).then(|| Diagnostic {
            id: "D03",
            problem: self.problem(name, timeout),
            reason: "what takes a little longer is cancelled and done again, in vain each time",
            fix,
        })
    }

    fn is_longer(&self, limit: Duration) -> bool {
        self.most_within.is_none_or(|most| most > limit)
    }

    fn problem(&self, limit: &str, time: Duration) -> String {
        let Self { most_within, runs } = self;
        let took = most_within.map_or("longer than is measured".to_owned(), |most| format!("up to {most:?}"));
        format!("95 of 100 runs took {took} ({runs} runs), and {limit} is {time:?}")
    }
}

/// Compares the run times of a queue's handlers with their timeouts: job types with their own timeout with that one, all others
/// with the queue's timeout.
///
/// | id | condition |
/// |---|---|
/// | D03 | handlers come near their own time limit |
pub(crate) fn advise_timeouts(metrics: &str, queue: &str, settings: &QueueSettings) -> Vec<Diagnostic> {
    let by_type: BTreeMap<&String, &Duration> = settings.handler_timeout_by_type.iter().collect();
    let others = observe(metrics, queue, |name| !settings.handler_timeout_by_type.contains_key(name));
    let for_queue = others.and_then(|observed| {
        let fix = "raise DRUMLINE_HANDLER_TIMEOUT, or make the jobs smaller";
        observed.advise_timeout("the handler timeout", settings.handler_timeout, fix)
    });
    let of_types = by_type.into_iter().filter_map(|(name, timeout)| {
        let fix =
            "raise the type's TIMEOUT or its entry in [handler_timeout_by_type], or make the jobs smaller";
        let observed = observe(metrics, queue, |other| other == name)?;
        observed.advise_timeout(&format!("the handler timeout of {name}"), *timeout, fix)
    });
    for_queue.into_iter().chain(of_types).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use drumline_runtime::Settings;

    fn text(counts: &[(&str, u64)]) -> String {
        let line = |(limit, count): &(&str, u64)| {
            format!(r#"drumline_job_duration_seconds_bucket{{le="{limit}",queue="jobs",type="a"}} {count}"#)
        };
        let mut lines: Vec<String> = counts.iter().map(line).collect();
        lines
            .push(r#"drumline_job_duration_seconds_bucket{le="0.1",queue="other",type="a"} 1000"#.to_owned());
        lines.join("\n")
    }

    #[test]
    fn the_time_of_most_runs_is_read_from_the_histogram() {
        let few = text(&[("0.1", 3), ("+Inf", 19)]);
        assert_eq!(observe(&few, "jobs", |_| true), None, "nineteen runs say nothing");
        let quick = text(&[("0.1", 95), ("1.0", 99), ("+Inf", 100)]);
        let most_within = Some(Duration::from_millis(100));
        assert_eq!(observe(&quick, "jobs", |_| true), Some(Observed { most_within, runs: 100 }));
        let slow = text(&[("0.1", 10), ("1.0", 94), ("+Inf", 100)]);
        assert_eq!(observe(&slow, "jobs", |_| true), Some(Observed { most_within: None, runs: 100 }));
        assert_eq!(observe(&quick, "missing", |_| true), None);
        assert_eq!(observe("", "jobs", |_| true), None);
    }

    #[test]
    fn a_type_is_compared_with_its_own_timeout() {
        let environment =
            |name: &str| (name == "DRUMLINE_QUEUE_URL").then(|| "http://localhost/1/jobs".to_owned());
        let mut settings = Settings::read(&BTreeMap::new(), environment, None).unwrap().queues.remove(0);
        let metrics = text(&[("1.0", 10), ("10.0", 100), ("+Inf", 100)]);
        let problem = |settings: &QueueSettings| {
            let advice = advise_timeouts(&metrics, "jobs", settings);
            advice.into_iter().map(|advice| advice.problem).collect::<Vec<_>>()
        };
        assert_eq!(problem(&settings), [""; 0]);
        settings.handler_timeout_by_type.insert("a".to_owned(), Duration::from_secs(11));
        let of_type = "95 of 100 runs took up to 10s (100 runs), and the handler timeout of a is 11s";
        assert_eq!(problem(&settings), [of_type]);
        settings.handler_timeout = Duration::from_secs(5);
        settings.handler_timeout_by_type.insert("a".to_owned(), Duration::from_secs(60));
        assert_eq!(problem(&settings), [""; 0]);
    }

    #[test]
    fn types_are_added_up() {
        let both = format!("{}\n{}", text(&[("1.0", 10), ("+Inf", 10)]), text(&[("1.0", 10), ("+Inf", 10)]));
        let most_within = Some(Duration::from_secs(1));
        assert_eq!(observe(&both, "jobs", |_| true), Some(Observed { most_within, runs: 20 }));
    }
}
