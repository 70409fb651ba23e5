//! Reports on the messages that wait for limits.

use std::time::Instant;

use super::state::Ledger;
use crate::core::ledger_event::LedgerEvent;
use crate::core::limits::{CountChange, WaitChanges};

impl Ledger {
    /// Reports the number of messages that wait for each limit, if it has changed.
    pub(super) fn report_waits(&mut self, now: Instant) {
        if self.held.count() == 0 && self.waits.is_empty() {
            return;
        }
        let WaitChanges { counts, begun } = self.waits.update(now, self.held.iter());
        for (class, wait) in begun {
            let opens_in = wait.until.map(|until| until.saturating_duration_since(now));
            self.emit(LedgerEvent::WaitsForLimit { class, reason: wait.reason, opens_in });
        }
        for CountChange { job_type, reason, before, count } in counts {
            self.emit(LedgerEvent::HeldForLimit { job_type, reason, before, count });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::num::NonZeroUsize;
    use std::time::Duration;

    use super::*;
    use crate::core::ending::Ending;
    use crate::core::ledger::Effect;
    use crate::core::limits::{JobClass, LimitReason, LimitRules, Limits, Permit, TypeRules};
    use crate::core::policy::Policy;
    use crate::core::retry::Jitter;
    use crate::core::run_report::RunReport;
    use crate::message::sqs_message::Message;

    #[allow(clippy::disallowed_methods, reason = "a test's own clock")]
    fn now() -> Instant {
        Instant::now()
    }

    fn effects(ledger: &mut Ledger, at: Instant) -> Vec<Effect> {
        ledger.tick(at);
        std::iter::from_fn(|| ledger.next_effect()).collect()
    }

    /// The reports of waits among effects.
    fn reports(effects: &[Effect]) -> Vec<String> {
        let report = |effect: &Effect| match effect {
            Effect::Event(LedgerEvent::WaitsForLimit { class, reason, .. }) => {
                Some(format!("{} waits: {}", class.job_type, reason.label()))
            }
            Effect::Event(LedgerEvent::HeldForLimit { reason, before, count, .. }) => {
                Some(format!("{before} -> {count}: {}", reason.label()))
            }
            _ => None,
        };
        effects.iter().filter_map(report).collect()
    }

    #[test]
    fn held_messages_are_reported_with_the_limit_that_they_wait_for() {
        let (begun, mail) = (now(), JobClass::of_type("mail"));
        let mut rules = LimitRules::none(NonZeroUsize::MIN);
        let one = TypeRules { concurrency: NonZeroUsize::new(1), ..TypeRules::default() };
        rules.types.insert("mail".to_owned(), one);
        let limits = Limits::new(rules);
        let policy = Policy { polling: None, ..Policy::new(Duration::from_secs(30)) };
        let mut ledger = Ledger::new(policy).unwrap();
        ledger.set_limits(limits.clone());
        let message = |id: &str| Message { id: id.into(), receipt: "r".into(), ..Message::default() };
        ledger.deliver(begun, vec![message("a"), message("b"), message("c")]);
        let started = effects(&mut ledger, begun);
        let starts = started.iter().filter_map(|effect| match effect {
            Effect::Start(start) => Some(start.delivery),
            _ => None,
        });
        let starts: Vec<_> = starts.collect();
        let permit: Permit = limits.ask(begun, &mail).unwrap();
        for delivery in &starts[1..] {
            let wait = limits.ask(begun, &mail).unwrap_err();
            let ending =
                Ending::Limited { remaining: Duration::ZERO, limit: wait.reason, reason: String::new() };
            let report = RunReport::new(ending, Some("mail".into()));
            let report = RunReport { limited: Some(Box::new((mail.clone(), wait))), ..report };
            ledger.ended(begun, *delivery, report, Jitter::new(0));
        }
        assert_eq!(reports(&effects(&mut ledger, begun)), ["mail waits: concurrency", "0 -> 2: concurrency"]);
        assert_eq!(reports(&effects(&mut ledger, begun)), [""; 0], "nothing has changed");
        assert_eq!(limits.snapshot(begun)[0].waiting[&LimitReason::Concurrency], 2);
        drop(permit);
        let (later, mut permits) = (begun + Duration::from_secs(1), Vec::new());
        for expected in ["2 -> 1: concurrency", "1 -> 0: concurrency"] {
            let effects = effects(&mut ledger, later);
            assert_eq!(reports(&effects), [expected]);
            permits = effects
                .into_iter()
                .filter_map(|effect| match effect {
                    Effect::Start(start) => start.permit,
                    _ => None,
                })
                .collect();
            assert_eq!(permits.len(), 1, "one at a time");
            permits.clear();
        }
        drop(permits);
        assert!(limits.snapshot(begun)[0].waiting.is_empty());
    }
}
