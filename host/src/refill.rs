//! The task that leases the tokens of shared rates.

use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use drumline::core::{GrantedTokens, LimitRules, Limits, TokenDemand};
use drumline_store::{StoreError, TokenLease, TokenRequest};
use futures_util::FutureExt as _;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep_until, timeout};
use tracing::{error, info, warn};

use crate::claims::ClaimStoreClient;

/// The maximum number of concurrent requests to the store, each for another key.
const REQUESTS: usize = 16;

/// The first and the longest wait after a request without an answer. It doubles in between.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// The time limit of an answer: stores end their requests earlier themselves.
const PATIENCE: Duration = Duration::from_secs(5);

/// A bucket that no job type has, for the check at the start.
const CHECKED: &str = "\tchecked at the start";

/// A task that leases tokens while jobs need them. It ends when this value is dropped.
///
/// While the store does not answer, jobs without tokens wait: the rate is kept, not estimated.
#[derive(Debug)]
pub struct Refill(AbortHandle);

impl Refill {
    /// Leases the tokens of all rates from the store if it outlives this process, so that workers can share it. Returns `None`
    /// if it does not, and each worker counts alone. Called within a runtime, before messages are received.
    pub fn start(limits: &Limits, store: &ClaimStoreClient) -> Option<Self> {
        if !store.store().outlives_its_process() {
            return None;
        }
        limits.share_rates();
        let task = tokio::spawn(refill(limits.clone(), store.clone()));
        Some(Self(task.abort_handle()))
    }

    /// Checks that the store can share the rates of these rules, if it answers: otherwise jobs would wait forever.
    pub async fn check(rules: &LimitRules, store: &ClaimStoreClient) -> Result<(), String> {
        let rates = rules.types.iter().filter_map(|(name, rules)| Some((name, rules.rate.as_ref()?)));
        let Some((job_type, rule)) = rates.min_by_key(|(name, _)| *name) else { return Ok(()) };
        if !store.store().outlives_its_process() {
            return Ok(());
        }
        let (bucket, one) = (CHECKED.to_owned(), NonZeroU32::MIN);
        let request = TokenRequest { bucket, rate: rule.rate, burst: one, most: one };
        match store.lease_tokens(&request).await {
            Err(StoreError::Refused(error)) => Err(format!(
                "[limits.{job_type:?}] rate: workers share it through the store, which cannot do so: {error}"
            )),
            Ok(_) | Err(StoreError::Unanswered(_)) => Ok(()),
        }
    }
}

impl Drop for Refill {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An answer of the store, with the time of its request.
struct Answer {
    demand: TokenDemand,
    asked_at: Instant,
    result: Result<TokenLease, StoreError>,
}

async fn refill(limits: Limits, store: ClaimStoreClient) {
    let mut requests = JoinSet::new();
    let mut outage = Outage::default();
    loop {
        // Before the demand is read, so that no demand in between is missed.
        let needed = limits.tokens_needed();
        let now = now();
        let most = outage.most_requests(now).saturating_sub(requests.len());
        if most > 0 {
            for demand in limits.token_demand(now, most) {
                requests.spawn(ask(store.clone(), demand));
            }
        }
        let next = if outage.most_requests(now) > requests.len() {
            limits.next_token_demand()
        } else {
            outage.until.filter(|until| *until > now && requests.is_empty())
        };
        // Cancel-safe: a finished request stays in the set, the demand is read again, and a sleep has no state.
        tokio::select! {
            Some(answer) = requests.join_next() => {
                let answer = answer.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
                take(&limits, &mut outage, answer);
            }
            () = needed, if most > 0 => {}
            () = sleep_until(next.unwrap_or(now).into()), if next.is_some() => {}
        }
    }
}

async fn ask(store: ClaimStoreClient, demand: TokenDemand) -> Answer {
    let request =
        TokenRequest { bucket: demand.bucket(), rate: demand.rate, burst: demand.burst, most: demand.most };
    let asked_at = now();
    // Each demand gets an answer, even if the store's client has none: its key sends no further request before.
    let asked = AssertUnwindSafe(async { store.lease_tokens(&request).await }).catch_unwind();
    let result = match timeout(PATIENCE, asked).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(StoreError::Unanswered("its client panicked".into())),
        Err(_) => Err(StoreError::Unanswered(format!("no answer within {} s", PATIENCE.as_secs()).into())),
    };
    Answer { demand, asked_at, result }
}

fn take(limits: &Limits, outage: &mut Outage, answer: Answer) {
    let Answer { demand, asked_at, result } = answer;
    let now = now();
    match result {
        Ok(TokenLease { tokens, valid_for, next_in }) => {
            outage.ends(&demand);
            // They were leased after this process sent its request, so they expire in time by any clock.
            let granted = GrantedTokens { tokens, until: asked_at + valid_for, next_at: now + next_in };
            limits.tokens_granted(now, &demand, granted);
        }
        Err(failure) => {
            let retry_at = outage.goes_on(now, asked_at, &demand, &failure);
            limits.tokens_unanswered(&demand, retry_at);
        }
    }
}

/// The time in which the store does not answer: one request checks whether it has ended.
#[derive(Default)]
struct Outage {
    until: Option<Instant>,
    failures: u32,
}

impl Outage {
    fn most_requests(&self, now: Instant) -> usize {
        match self.until {
            None => REQUESTS,
            Some(until) if until > now => 0,
            Some(_) => 1,
        }
    }

    /// Records a failure, and returns the time of the next request.
    fn goes_on(
        &mut self,
        now: Instant,
        asked_at: Instant,
        demand: &TokenDemand,
        failure: &StoreError,
    ) -> Instant {
        if let Some(until) = self.until.filter(|until| asked_at < *until) {
            // Of concurrent failed requests, one counts.
            return until;
        }
        let job_type = &*demand.job_type;
        match failure {
            _ if self.failures > 0 => {}
            StoreError::Unanswered(_) => {
                warn!(%failure, job_type, "waiting for rate tokens: the store does not answer");
            }
            StoreError::Refused(_) => {
                error!(%failure, job_type, "waiting for rate tokens: the store refuses them");
            }
        }
        let wait = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(self.failures)).min(LAST_RETRY);
        self.failures = self.failures.saturating_add(1);
        *self.until.insert(now + wait)
    }

    fn ends(&mut self, demand: &TokenDemand) {
        if self.failures > 0 {
            info!(job_type = &*demand.job_type, "the store leases rate tokens again");
        }
        *self = Self::default();
    }
}

/// Tokio's clock, which tests can pause.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
