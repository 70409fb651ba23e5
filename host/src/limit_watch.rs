//! A watch over the limits of a process: it logs when no job of a type may start, and when they may again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use drumline::core::{ClosedLimit, LimitReason, Limits, TypeSnapshot};
use tokio::task::JoinHandle;
use tracing::{info, warn};

/// The time between two looks. A limit that is closed for less than that may stay unlogged.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The limits that were closed at the last look, with the times of their closing.
///
/// A worker looks once a second as soon as anything limits its jobs, a function after each batch: it is frozen in between.
#[derive(Debug)]
pub struct LimitWatch {
    limits: Limits,
    closed: BTreeMap<(Arc<str>, LimitReason), Instant>,
}

impl LimitWatch {
    /// A watch over these limits, which have been open so far.
    pub fn new(limits: Limits) -> Self {
        Self { limits, closed: BTreeMap::new() }
    }

    /// Looks once a second until the returned watch is dropped, from the time at which anything limits jobs.
    pub fn start(mut self) -> RunningLimitWatch {
        RunningLimitWatch(tokio::spawn(async move {
            self.limits.clone().limiting().await;
            loop {
                self.look(tokio::time::Instant::now().into_std());
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }))
    }

    /// Logs the limits that were closed or opened since the last look.
    pub fn look(&mut self, now: Instant) {
        let types = self.limits.snapshot(now);
        self.log(now, types);
    }

    fn log(&mut self, now: Instant, types: Vec<TypeSnapshot>) {
        let mut closed = BTreeMap::new();
        for of_type in types {
            for limit in of_type.closed {
                let key = (Arc::clone(&of_type.job_type), limit.reason);
                if !self.closed.contains_key(&key) {
                    log_closed(now, &of_type.job_type, &limit);
                }
                let since = self.closed.get(&key).map_or(limit.since, |known| limit.since.min(*known));
                closed.insert(key, since);
            }
        }
        for ((job_type, reason), since) in std::mem::replace(&mut self.closed, closed) {
            if !self.closed.contains_key(&(Arc::clone(&job_type), reason)) {
                let closed_secs = now.saturating_duration_since(since).as_secs_f64();
                info!("type" = &*job_type, reason = reason.label(), closed_secs, "limit open again");
            }
        }
    }
}

fn log_closed(now: Instant, job_type: &str, ClosedLimit { reason, until, why, .. }: &ClosedLimit) {
    let opens_in = until.map(|until| until.saturating_duration_since(now).as_secs_f64());
    warn!(
        "type" = job_type,
        reason = reason.label(),
        opens_in_secs = opens_in,
        why = why.as_deref(),
        "limit closed"
    );
}

/// A watch that looks until this is dropped.
#[derive(Debug)]
pub struct RunningLimitWatch(JoinHandle<()>);

impl Drop for RunningLimitWatch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::num::NonZeroUsize;

    use drumline::core::LimitRules;

    use super::*;
    use crate::log_lines::logged;

    #[test]
    fn a_limit_is_logged_when_it_closes_and_when_it_opens() {
        let begun = tokio::time::Instant::now().into_std();
        let at = |secs| begun + Duration::from_secs(secs);
        let closed = |reason, until| ClosedLimit { reason, since: begun, until, why: Some("429".into()) };
        let of = |closed| vec![TypeSnapshot { job_type: "mail".into(), closed, ..TypeSnapshot::default() }];
        let throttled = || closed(LimitReason::Throttled, Some(at(30)));
        let by_operator = |now| ClosedLimit { since: now, why: None, ..closed(LimitReason::Operator, None) };
        let lines = logged(|| {
            let mut watch = LimitWatch::new(Limits::new(LimitRules::none(NonZeroUsize::MIN)));
            watch.log(at(0), of(vec![]));
            watch.log(at(10), of(vec![throttled()]));
            watch.log(at(11), of(vec![throttled(), by_operator(at(11))]));
            watch.log(at(30), of(vec![by_operator(at(30))]));
            watch.log(at(60), vec![]);
            watch.look(at(61));
        });
        let line = |message: &str, reason: &str, field: &str| {
            let is_it = |line: &&serde_json::Value| line["message"] == message && line["reason"] == reason;
            lines.iter().find(is_it).unwrap()[field].clone()
        };
        assert_eq!(lines.len(), 4, "each once: {lines:?}");
        assert_eq!(line("limit closed", "throttled", "opens_in_secs"), 20.0);
        assert_eq!(line("limit closed", "throttled", "why"), "429");
        assert!(line("limit closed", "operator", "opens_in_secs").is_null());
        assert_eq!(line("limit open again", "throttled", "closed_secs"), 30.0);
        assert_eq!(line("limit open again", "operator", "closed_secs"), 49.0, "from the first look");
        assert_eq!(line("limit open again", "operator", "type"), "mail");
    }
}
