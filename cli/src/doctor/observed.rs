//! What a running consumer has seen of its queues: its handlers' times, from its own metrics.

use std::time::Duration;

use drumline_runtime::{Advice, QueueSettings};

/// The part of all runs that is to be within a limit.
const MOST: f64 = 0.95;

/// Fewer runs than this say nothing.
const ENOUGH: u64 = 20;

/// How long the handlers of a queue take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Observed {
    /// Within this time 95 of 100 runs were over, as far as the histogram tells; `None` for longer than it goes.
    pub(crate) most_within: Option<Duration>,
    /// How many runs that is known from.
    pub(crate) runs: u64,
}

/// Reads a queue's histogram out of the text of `/metrics`; `None` where too little has run.
pub(crate) fn observe(metrics: &str, queue: &str) -> Option<Observed> {
    let label = format!("queue=\"{queue}\"");
    // By limit, in the order of the text, which is the order of the limits; added up over the job types.
    let mut counts: Vec<(String, u64)> = Vec::new();
    for line in metrics.lines().filter(|line| line.starts_with("drumline_job_duration_seconds_bucket{")) {
        let (labels, count) = line.rsplit_once("} ")?;
        if !labels.contains(&label) {
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
    /// What these times mean for the settings.
    ///
    /// | id | told where |
    /// |---|---|
    /// | D01 | handlers take longer than a lease, so that every job costs renewals |
    /// | D02 | handlers take longer than the shutdown grace, so that every deploy interrupts some |
    /// | D03 | handlers come near their own time limit |
    pub(crate) fn advise(
        &self,
        settings: &QueueSettings,
        visibility: Duration,
        grace: Duration,
    ) -> Vec<Advice> {
        let mut advice = Vec::new();
        let Self { most_within, runs } = self;
        let lease = settings.visibility_timeout.unwrap_or(visibility);
        let longer = |limit: Duration| most_within.is_none_or(|most| most > limit);
        let found = |limit: &str, time: Duration| {
            let took =
                most_within.map_or("longer than is measured".to_owned(), |most| format!("up to {most:?}"));
            format!("95 of 100 runs took {took} ({runs} runs), and {limit} is {time:?}")
        };
        if longer(lease) {
            advice.push(Advice {
                id: "D01",
                found: found("the visibility timeout", lease),
                reason: "every job costs renewals, and a slow moment of SQS costs leases",
                mend: "raise the queue's visibility timeout above the usual time of a handler",
            });
        }
        if longer(grace) {
            advice.push(Advice {
                id: "D02",
                found: found("the shutdown grace", grace),
                reason: "every deploy and every scale-in interrupts running handlers, whose work is done again",
                mend: "raise DRUMLINE_SHUTDOWN_GRACE and the platform's stop timeout; on ECS set DRUMLINE_TASK_PROTECTION=on",
            });
        }
        if longer(settings.handler_timeout.mul_f64(0.8)) {
            advice.push(Advice {
                id: "D03",
                found: found("the handler timeout", settings.handler_timeout),
                reason: "what takes a little longer is cancelled and done again, in vain each time",
                mend: "raise DRUMLINE_HANDLER_TIMEOUT, or make the jobs smaller",
            });
        }
        advice
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

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
        assert_eq!(observe(&few, "jobs"), None, "nineteen runs say nothing");
        let quick = text(&[("0.1", 95), ("1.0", 99), ("+Inf", 100)]);
        let most_within = Some(Duration::from_millis(100));
        assert_eq!(observe(&quick, "jobs"), Some(Observed { most_within, runs: 100 }));
        let slow = text(&[("0.1", 10), ("1.0", 94), ("+Inf", 100)]);
        assert_eq!(observe(&slow, "jobs"), Some(Observed { most_within: None, runs: 100 }));
        assert_eq!(observe(&quick, "missing"), None);
        assert_eq!(observe("", "jobs"), None);
    }

    #[test]
    fn types_are_added_up() {
        let both = format!("{}\n{}", text(&[("1.0", 10), ("+Inf", 10)]), text(&[("1.0", 10), ("+Inf", 10)]));
        let most_within = Some(Duration::from_secs(1));
        assert_eq!(observe(&both, "jobs"), Some(Observed { most_within, runs: 20 }));
    }
}
