//! The readiness of the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use drumline::core::{Limits, PauseReason, TypeSnapshot};
use drumline_runtime::activity::{QueueActivity, WorkerActivity};
use drumline_runtime::{QueueStatus, waiting_for};
use tokio::sync::watch;

/// The readiness of the process.
#[derive(Clone)]
pub(crate) struct Readiness {
    queues: Arc<[(String, Arc<QueueStatus>)]>,
    store_answers: watch::Receiver<bool>,
    draining: Arc<AtomicBool>,
    limits: Option<Limits>,
}

impl Readiness {
    pub(crate) fn new(queues: Vec<(String, Arc<QueueStatus>)>, store_answers: watch::Receiver<bool>) -> Self {
        Self { queues: queues.into(), store_answers, draining: Arc::default(), limits: None }
    }

    /// As this one, with what jobs wait for of these limits.
    pub(crate) fn with_limits(self, limits: Limits) -> Self {
        Self { limits: Some(limits), ..self }
    }

    /// Returns whether the process is ready, and its state in one sentence.
    pub(crate) fn state(&self) -> (bool, String) {
        let problem = self.problem();
        let is_ready = problem.is_none();
        let state = match problem {
            // An operator's pause is wanted: the process is as ready as it is meant to be.
            None => match self.paused(|_| true) {
                Some(paused) => format!("ready; {paused}"),
                None => "ready".to_owned(),
            },
            Some(problem) => format!("not ready: {problem}"),
        };
        match waiting_for(&self.types(), now()) {
            Some(waiting) => (is_ready, format!("{state}; {waiting}")),
            None => (is_ready, state),
        }
    }

    /// The facts that decide if jobs run, as the loops of the queues and the limits report them.
    pub(crate) fn facts(&self) -> WorkerActivity {
        WorkerActivity {
            is_draining: self.draining.load(Ordering::Relaxed),
            queues: self.queues.iter().map(|(name, status)| QueueActivity::of(name, status)).collect(),
            types: self.types(),
        }
    }

    fn types(&self) -> Vec<TypeSnapshot> {
        self.limits.as_ref().map(|limits| limits.snapshot(now())).unwrap_or_default()
    }

    /// From now on nothing new is begun.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Returns the reason why the process is not ready; `None` if it is ready.
    fn problem(&self) -> Option<String> {
        if self.draining.load(Ordering::Relaxed) {
            return Some("draining".to_owned());
        }
        let unreachable = self.unreachable();
        let paused = self.paused(|reason| reason != PauseReason::Operator);
        let problems: Vec<String> = [unreachable, paused].into_iter().flatten().collect();
        (!problems.is_empty()).then(|| problems.join("; "))
    }

    fn unreachable(&self) -> Option<String> {
        let unhealthy = self.queues.iter().filter(|(_, status)| !status.is_healthy());
        let mut unhealthy: Vec<&str> = unhealthy.map(|(name, _)| name.as_str()).collect();
        if !*self.store_answers.borrow() {
            unhealthy.push("the store");
        }
        (!unhealthy.is_empty()).then(|| format!("out of reach: {}", unhealthy.join(", ")))
    }

    /// The queues that are paused for such reasons, each with them.
    fn paused(&self, counts: impl Fn(PauseReason) -> bool) -> Option<String> {
        let paused = self.queues.iter().filter_map(|(name, status)| {
            let reasons = status.pauses().into_iter().filter(|reason| counts(*reason));
            let label = |reason: PauseReason| match status.target_problem() {
                Some(problem) if reason == PauseReason::TargetUnhealthy => {
                    format!("{}: {problem}", reason.label())
                }
                _ => reason.label().to_owned(),
            };
            let reasons: Vec<String> = reasons.map(label).collect();
            (!reasons.is_empty()).then(|| format!("{name} ({})", reasons.join(", ")))
        });
        let paused: Vec<String> = paused.collect();
        (!paused.is_empty()).then(|| format!("paused: {}", paused.join(", ")))
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::time::Duration;

    use drumline::core::{
        Effect, Ending, Jitter, JobClass, Ledger, LimitRules, Policy, RunReport, TypeRules,
    };
    use drumline::message::Message;

    use super::*;

    #[test]
    fn readiness_lists_unreachable_parts_and_pauses_with_reasons() {
        let status = Arc::new(QueueStatus::default());
        let (store, store_answers) = watch::channel(true);
        let readiness = Readiness::new(vec![("jobs".to_owned(), Arc::clone(&status))], store_answers);
        assert_eq!(readiness.problem().as_deref(), Some("out of reach: jobs"));
        store.send_replace(false);
        status.set_pauses([PauseReason::StoreDown, PauseReason::BreakerOpen].into_iter());
        let problem = readiness.problem();
        let all = "out of reach: jobs, the store; paused: jobs (store_down, breaker_open)";
        assert_eq!(problem.as_deref(), Some(all));
        status.set_pauses(std::iter::once(PauseReason::TargetUnhealthy));
        status.set_target_problem(Some(&"connection refused (111)".into()));
        let problem = readiness.problem().unwrap_or_default();
        assert!(problem.ends_with("paused: jobs (target_unhealthy: connection refused (111))"), "{problem}");
        readiness.drain();
        assert_eq!(readiness.problem().as_deref(), Some("draining"));
    }

    #[test]
    fn an_operators_pause_is_named_and_no_problem() {
        let status = Arc::new(QueueStatus::default());
        let readiness =
            Readiness::new(vec![("jobs".to_owned(), Arc::clone(&status))], watch::channel(true).1);
        status.set_pauses([PauseReason::Operator].into_iter());
        assert_eq!(readiness.problem().as_deref(), Some("out of reach: jobs"));
        assert_eq!(readiness.paused(|_| true).as_deref(), Some("paused: jobs (operator)"));
    }

    #[test]
    fn the_state_names_what_jobs_wait_for() {
        let mut rules = LimitRules::none(NonZeroUsize::MIN);
        let one = TypeRules { concurrency: NonZeroUsize::new(1), ..TypeRules::default() };
        rules.types.insert("mail".to_owned(), one);
        let limits = Limits::new(rules);
        let readiness = Readiness::new(Vec::new(), watch::channel(true).1).with_limits(limits.clone());
        assert_eq!(readiness.state(), (true, "ready".to_owned()));
        let mut ledger = ledger_with_two_of("mail", &limits);
        let waits = "1 job of mail waits for a slot (1 of 1 run)";
        assert_eq!(readiness.state(), (true, format!("ready; {waits}")));
        readiness.drain();
        assert_eq!(readiness.state(), (false, format!("not ready: draining; {waits}")));
        ledger.drain(now(), Duration::ZERO);
        ledger.tick(now());
        assert_eq!(readiness.state().1, "not ready: draining");
    }

    /// A ledger with a job that runs and one that waits.
    fn ledger_with_two_of(job_type: &str, limits: &Limits) -> Ledger {
        let class = JobClass::of_type(job_type);
        let policy = Policy::new(Duration::from_secs(30));
        let mut ledger = Ledger::new(Policy { polling: None, ..policy }).expect("a policy in order");
        ledger.set_limits(limits.clone());
        let message = |id: &str| Message { id: id.into(), receipt: "r".into(), ..Message::default() };
        ledger.deliver(now(), vec![message("m1"), message("m2")]);
        ledger.tick(now());
        let starts = std::iter::from_fn(|| ledger.next_effect()).filter_map(|effect| match effect {
            Effect::Start(start) => Some(start.delivery),
            _ => None,
        });
        let starts: Vec<_> = starts.collect();
        let permit = limits.ask(now(), &class).expect("the first may run");
        let wait = limits.ask(now(), &class).expect_err("the second has to wait");
        let ending = Ending::Limited { remaining: Duration::ZERO, limit: wait.reason, reason: String::new() };
        let report = RunReport::new(ending, Some(job_type.into()));
        let report = RunReport { limited: Some(Box::new((class, wait))), ..report };
        ledger.ended(now(), starts[1], report, Jitter::new(0));
        ledger.tick(now());
        std::mem::forget(permit);
        ledger
    }
}
