//! The rates that workers share: the tokens that are needed, and the answers of the store that leases them.

use std::time::Instant;

use event_listener::EventListener;

use super::process::Limits;
use super::rate::RateState;
use super::tokens::{GrantedTokens, TokenDemand};
use super::type_state::TypeState;

impl Limits {
    /// Has the tokens of rates leased from a store that all workers share: see [`token_demand`](Self::token_demand).
    pub fn share_rates(&self) {
        let mut state = self.state();
        state.shares_rates = true;
        for of_type in state.types.values_mut() {
            of_type.share_rate();
        }
    }

    /// Returns the tokens that jobs need now and that can be leased, in at most `most` demands. Each has one answer, by
    /// [`tokens_granted`](Self::tokens_granted) or [`tokens_unanswered`](Self::tokens_unanswered); its key makes no other
    /// request before.
    pub fn token_demand(&self, now: Instant, most: usize) -> Vec<TokenDemand> {
        let mut demand = Vec::new();
        for (job_type, of_type) in &mut self.state().types {
            if let Some(rate) = of_type.rate_mut() {
                rate.demand(now, job_type, most, &mut demand);
            }
        }
        demand
    }

    /// Returns the earliest time at which needed tokens may be requested.
    pub fn next_token_demand(&self) -> Option<Instant> {
        let state = self.state();
        state.types.values().filter_map(|of_type| of_type.rate()?.next_demand()).min()
    }

    /// Waits until further tokens are needed.
    pub fn tokens_needed(&self) -> EventListener {
        self.0.tokens_needed.listen()
    }

    /// Takes the answer to a demand.
    pub fn tokens_granted(&self, now: Instant, demand: &TokenDemand, granted: GrantedTokens) {
        self.answered(demand, |rate| rate.granted(now, demand, granted));
    }

    /// The store has not answered a demand. Its jobs wait, and repeat their requests at `retry_at`.
    pub fn tokens_unanswered(&self, demand: &TokenDemand, retry_at: Instant) {
        self.answered(demand, |rate| rate.unanswered(demand, retry_at));
    }

    fn answered(&self, demand: &TokenDemand, answer: impl FnOnce(&mut RateState)) {
        if let Some(rate) = self.state().types.get_mut(&demand.job_type).and_then(TypeState::rate_mut) {
            answer(rate);
        }
        self.0.changed.notify(usize::MAX);
    }
}
