//! The rate at which the jobs of one type start.

use std::time::Instant;

use super::job_class::JobClass;
use super::leased::{LeasedTokens, Unleased};
use super::limit_reason::LimitReason;
use super::local_rate::{Key, LocalRate};
use super::rules::RateRule;
use super::snapshot::RateSnapshot;
use super::tokens::{GrantedTokens, TokenDemand};
use super::wait::LimitWait;

/// The tokens of one type, by key. A job that starts takes one of this process, and one that was leased if workers share the
/// rate.
///
/// At most 10,000 keys are counted separately. Jobs of further keys are counted together with those without a key, until the
/// bucket of another key is full again: then a key's rate is lower, and never above the rule.
#[derive(Debug)]
pub(super) struct RateState {
    rule: RateRule,
    local: LocalRate,
    leased: Option<LeasedTokens>,
}

impl RateState {
    /// Makes the tokens of a rule; `shared` if workers share them.
    pub(super) fn new(rule: &RateRule, shared: bool) -> Self {
        let leased = shared.then(|| LeasedTokens::new(rule));
        Self { rule: rule.clone(), local: LocalRate::new(rule), leased }
    }

    /// Returns the number of jobs that may start now. It is unknown for a rate with a key.
    pub(super) fn snapshot(&self, now: Instant) -> RateSnapshot {
        let rate = self.rule.rate;
        if self.rule.key.is_some() {
            return RateSnapshot { rate, tokens: None, next: None };
        }
        let (tokens, next) = self.local.left(now, &self.rule);
        let leased = self.leased.as_ref().map_or(u32::MAX, |leased| leased.left(now));
        RateSnapshot { rate, tokens: Some(tokens.min(leased)), next }
    }

    /// Has the tokens leased.
    pub(super) fn share(&mut self) {
        self.leased.get_or_insert_with(|| LeasedTokens::new(&self.rule));
    }

    /// Takes a token, or returns the wait for one.
    pub(super) fn take(&mut self, now: Instant, class: &JobClass) -> Result<(), LimitWait> {
        let key = self.counted_as(now, &class.key);
        let Some(leased) = &mut self.leased else { return self.take_local(now, &key) };
        leased.check(now, &key).map_err(|unleased| match unleased {
            Unleased::UsedUp(at) => LimitWait { reason: LimitReason::Rate, until: Some(at) },
            Unleased::Unanswered(at) => LimitWait { reason: LimitReason::RateStore, until: Some(at) },
        })?;
        self.take_local(now, &key)?;
        if let Some(leased) = &mut self.leased {
            leased.take(now, &key);
        }
        Ok(())
    }

    fn take_local(&mut self, now: Instant, key: &Key) -> Result<(), LimitWait> {
        self.local.take(now, key).map_err(|at| LimitWait { reason: LimitReason::Rate, until: Some(at) })
    }

    /// Returns the key whose bucket counts a job.
    fn counted_as(&mut self, now: Instant, key: &Key) -> Key {
        let leased = self.leased.as_mut();
        let has_room =
            self.local.has_room_for(now, key) && leased.is_none_or(|leased| leased.has_room_for(now, key));
        if has_room { key.clone() } else { None }
    }

    /// Returns true once after tokens are needed.
    pub(super) fn has_new_demand(&mut self) -> bool {
        self.leased.as_mut().is_some_and(LeasedTokens::has_new_demand)
    }

    /// Adds the tokens that are needed now, of at most `most` keys, which count as requested from now on.
    pub(super) fn demand(
        &mut self,
        now: Instant,
        job_type: &std::sync::Arc<str>,
        most: usize,
        to: &mut Vec<TokenDemand>,
    ) {
        let Some(leased) = &mut self.leased else { return };
        let keys = leased.demand(now, most.saturating_sub(to.len()));
        to.extend(keys.into_iter().map(|(key, most)| TokenDemand {
            job_type: std::sync::Arc::clone(job_type),
            key,
            rate: self.rule.rate,
            burst: self.rule.shared_burst(),
            most,
        }));
    }

    /// Returns the time at which tokens may be requested again.
    pub(super) fn next_demand(&self) -> Option<Instant> {
        self.leased.as_ref()?.next_demand()
    }

    /// Takes the answer to a demand.
    pub(super) fn granted(&mut self, now: Instant, demand: &TokenDemand, granted: GrantedTokens) {
        if let Some(leased) = &mut self.leased {
            leased.granted(now, demand, granted);
        }
    }

    /// A demand got no answer.
    pub(super) fn unanswered(&mut self, demand: &TokenDemand, retry_at: Instant) {
        if let Some(leased) = &mut self.leased {
            leased.unanswered(demand, retry_at);
        }
    }
}
