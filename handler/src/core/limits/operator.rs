//! An operator's orders for one job type, which replace its rules.

use std::num::NonZeroUsize;

use super::rules::{Rate, RateRule, TypeRules};

/// An operator's orders for one job type. They replace its rules; the default changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TypeOrders {
    /// None of its jobs start.
    pub is_paused: bool,
    /// The number of jobs that run at once; `None` uses the rules.
    pub concurrency: Option<NonZeroUsize>,
    /// The rate of jobs; `None` uses the rules.
    pub rate: Option<RateOrder>,
}

/// An operator's order for the rate of a job type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateOrder {
    /// No rate limit.
    Off,
    /// This rate, with the burst and the key of the rules.
    At(Rate),
}

impl TypeOrders {
    /// Returns the rules that result from these orders.
    pub(super) fn over(&self, rules: &TypeRules) -> TypeRules {
        let mut rules = rules.clone();
        rules.concurrency = self.concurrency.or(rules.concurrency);
        rules.rate = match self.rate {
            None => rules.rate,
            Some(RateOrder::Off) => None,
            Some(RateOrder::At(rate)) => Some(match rules.rate {
                Some(rule) => RateRule { rate, ..rule },
                None => RateRule { rate, burst: rate.default_burst(), key: None },
            }),
        };
        rules
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::num::NonZeroU32;
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;
    use crate::core::limits::{JobClass, JobKind, LimitReason, LimitRules, LimitWait, Limits, RateKey};

    #[allow(clippy::disallowed_methods)]
    fn now() -> Instant {
        Instant::now()
    }

    fn limits(rules: &[(&str, TypeRules)]) -> Limits {
        let types = rules.iter().map(|(name, rules)| ((*name).to_owned(), rules.clone())).collect();
        Limits::new(LimitRules { types, ..LimitRules::none(NonZeroUsize::MIN) })
    }

    fn at_most(count: usize) -> TypeRules {
        TypeRules { concurrency: NonZeroUsize::new(count), ..TypeRules::default() }
    }

    fn refusal(limits: &Limits, class: &JobClass) -> Option<LimitReason> {
        limits.ask(now(), class).err().map(|LimitWait { reason, until }| {
            assert_eq!(until, None, "it waits for a change");
            reason
        })
    }

    #[test]
    fn a_paused_type_starts_no_job_until_resumed_and_others_do() {
        let limits = limits(&[]);
        let (mail, image) = (JobClass::of_type("mail"), JobClass::of_type("image"));
        assert_eq!(refusal(&limits, &mail), None, "nothing limits it");
        limits.set_orders("mail", TypeOrders { is_paused: true, ..TypeOrders::default() });
        assert_eq!(refusal(&limits, &mail), Some(LimitReason::Operator));
        assert_eq!(refusal(&limits, &image), None);
        let changed = limits.changed();
        limits.set_orders("mail", TypeOrders::default());
        assert!(futures_util::FutureExt::now_or_never(changed).is_some(), "what is held asks again");
        assert_eq!(refusal(&limits, &mail), None);
    }

    #[test]
    fn orders_hold_in_place_of_rules_until_they_are_withdrawn() {
        let limits = limits(&[("mail", at_most(1))]);
        let mail = JobClass::of_type("mail");
        let first = limits.ask(now(), &mail).unwrap();
        assert_eq!(refusal(&limits, &mail), Some(LimitReason::Concurrency));
        limits.set_orders("mail", TypeOrders { concurrency: NonZeroUsize::new(3), ..TypeOrders::default() });
        let more: Vec<_> = (0..2).map(|_| limits.ask(now(), &mail).unwrap()).collect();
        assert_eq!(refusal(&limits, &mail), Some(LimitReason::Concurrency));
        limits.set_orders("mail", TypeOrders::default());
        drop(more);
        assert_eq!(refusal(&limits, &mail), Some(LimitReason::Concurrency), "the first one still runs");
        drop(first);
        assert_eq!(refusal(&limits, &mail), None);
    }

    #[test]
    fn new_rules_apply_to_running_jobs_and_do_not_change_orders() {
        let limits = limits(&[("mail", at_most(2))]);
        let mail = JobClass::of_type("mail");
        let running: Vec<_> = (0..2).map(|_| limits.ask(now(), &mail).unwrap()).collect();
        limits.set_rules([("mail".to_owned(), at_most(3)), ("image".to_owned(), at_most(1))].into());
        let third = limits.ask(now(), &mail).unwrap();
        assert_eq!(refusal(&limits, &mail), Some(LimitReason::Concurrency));
        let image = limits.ask(now(), &JobClass::of_type("image")).unwrap();
        assert_eq!(refusal(&limits, &JobClass::of_type("image")), Some(LimitReason::Concurrency));
        limits.set_orders("mail", TypeOrders { is_paused: true, ..TypeOrders::default() });
        limits.set_rules([].into());
        assert_eq!(refusal(&limits, &mail), Some(LimitReason::Operator));
        assert_eq!(refusal(&limits, &JobClass::of_type("image")), None, "it has no rules any more");
        drop((running, third, image));
    }

    #[test]
    fn the_core_of_a_job_is_free_again_although_its_rules_are_gone() {
        let cpu = TypeRules { kind: JobKind::Cpu, ..TypeRules::default() };
        let limits = limits(&[("image", cpu.clone()), ("video", cpu.clone())]);
        let running = limits.ask(now(), &JobClass::of_type("image")).unwrap();
        assert_eq!(refusal(&limits, &JobClass::of_type("video")), Some(LimitReason::Cpu));
        limits.set_rules([("video".to_owned(), cpu)].into());
        assert_eq!(refusal(&limits, &JobClass::of_type("video")), Some(LimitReason::Cpu));
        drop(running);
        assert_eq!(refusal(&limits, &JobClass::of_type("video")), None);
    }

    #[test]
    fn a_rate_keeps_the_burst_and_the_key_of_the_rules() {
        let key = Some(RateKey::Pointer("/customer".into()));
        let rule = RateRule { rate: "5/s".parse().unwrap(), burst: NonZeroU32::new(7).unwrap(), key };
        let rules = TypeRules { rate: Some(rule.clone()), ..TypeRules::default() };
        let rate = |rate| TypeOrders { rate: Some(rate), ..TypeOrders::default() };
        let at: Rate = "50/m".parse().unwrap();
        assert_eq!(rate(RateOrder::At(at)).over(&rules).rate, Some(RateRule { rate: at, ..rule }));
        assert_eq!(rate(RateOrder::Off).over(&rules).rate, None);
        assert_eq!(TypeOrders::default().over(&rules), rules);
        let of_none = rate(RateOrder::At(at)).over(&TypeRules::default()).rate.unwrap();
        assert_eq!((of_none.rate, of_none.burst, of_none.key), (at, NonZeroU32::MIN, None));
    }

    #[test]
    fn orders_are_shown_while_they_hold() {
        let limits = limits(&[]);
        let orders = TypeOrders { is_paused: true, ..TypeOrders::default() };
        limits.set_orders("mail", orders.clone());
        assert_eq!(limits.orders(), [(Arc::from("mail"), orders)]);
        limits.set_orders("mail", TypeOrders::default());
        assert_eq!(limits.orders(), []);
    }
}
