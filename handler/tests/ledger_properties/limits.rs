//! The limits of the host's jobs: jobs of every fourth message's type run one at a time, and another fourth's start at most 30
//! times a minute.

use std::num::{NonZeroU32, NonZeroUsize};

use drumline::core::{JobClass, LimitRules, LimitWait, Limits, Permit, RateRule, TypeRules};
use drumline::message::Message;
use serde_json::value::RawValue;

use super::Host;

fn rules() -> LimitRules {
    let mut rules = LimitRules::none(NonZeroUsize::MIN);
    let single = TypeRules { concurrency: Some(NonZeroUsize::MIN), ..TypeRules::default() };
    let rate = RateRule { rate: "30/m".parse().unwrap(), burst: NonZeroU32::MIN, key: None };
    rules.types.insert("single".to_owned(), single);
    rules.types.insert("rare".to_owned(), TypeRules { rate: Some(rate), ..TypeRules::default() });
    rules
}

impl Host {
    /// Jobs are limited from now on, by the limits of a new process.
    pub(super) fn limit_jobs(&mut self) {
        let limits = Limits::new(rules()).for_queue();
        self.ledger.set_limits(limits.clone());
        self.limits = Some(limits);
    }

    /// A run requests its permit.
    pub(super) fn asks_limits(
        &self,
        message: usize,
        permit: Option<Permit>,
    ) -> Result<Option<Permit>, (JobClass, LimitWait)> {
        let Some(limits) = &self.limits else { return Ok(None) };
        let job_type = match message % 4 {
            1 => "single",
            2 => "rare",
            _ => "free",
        };
        limits.admit(self.now, &"jobs".into(), &job_type.into(), &Message::default(), RawValue::NULL, permit)
    }

    pub(super) fn sees_holds(&mut self) {
        if self.ledger.waits_for_limits() {
            self.watch.seen.insert("held for a limit");
        }
    }

    /// The maximum number of messages that wait in their groups behind held ones, or behind recently held ones.
    pub(super) fn most_behind_held(&self) -> usize {
        let is_behind = self.limits.is_some() && self.ledger.policy().fifo;
        if is_behind { 2 * self.ledger.policy().concurrency.get().max(10) } else { 0 }
    }
}
