//! The gate of one queue: its readings, shared by all callers, and its state.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName as Name;
use drumline_runtime::aws::{explain, queue_name};
use drumline_runtime::gate::{Decider, GateLimits, GateReading, GateState};
use drumline_runtime::{BoxFuture, SqsError};
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::age::Ages;
use super::cloudwatch::CloudWatch;

/// The time for which a reading is used before SQS is asked again.
const FRESH: Duration = Duration::from_secs(5);

/// The time for which a reading is used while SQS does not answer. After that, the gate opens: a gate without readings must not
/// stop producers.
const STALE: Duration = Duration::from_secs(60);

/// The time limit of a request, because callers wait for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Requests the number of waiting messages.
type AskDepth = Arc<dyn Fn() -> BoxFuture<Result<u64, SqsError>> + Send + Sync>;

/// The gate of a queue. Clones share their readings, so that many callers cost one request.
#[derive(Clone)]
pub struct Gate {
    queue: Arc<str>,
    limits: GateLimits,
    fresh_for: Duration,
    client: Client,
    ask_depth: AskDepth,
    ages: Option<Arc<Ages>>,
    shared: Arc<Shared>,
}

struct Shared {
    /// Locked by the caller that sends a request.
    asking: tokio::sync::Mutex<()>,
    known: Mutex<Known>,
}

/// The last state, and the readings on which it is based.
struct Known {
    decider: Decider,
    state: Option<GateState>,
    asked_at: Option<Instant>,
    read_at: Option<Instant>,
    is_blind: bool,
}

impl Gate {
    /// Creates the gate of the queue at this URL. Its depth is the number of visible and delayed messages
    /// (`sqs:GetQueueAttributes`).
    pub fn new(client: Client, queue_url: impl Into<String>, limits: GateLimits) -> Self {
        let queue_url = queue_url.into();
        let queue = Arc::from(queue_name(&queue_url));
        let sqs = client.clone();
        let ask_depth: AskDepth = Arc::new(move || Box::pin(depth(sqs.clone(), queue_url.clone())));
        Self::with(client, queue, ask_depth, limits)
    }

    fn with(client: Client, queue: Arc<str>, ask_depth: AskDepth, limits: GateLimits) -> Self {
        let known = Known {
            decider: Decider::new(limits),
            state: None,
            asked_at: None,
            read_at: None,
            is_blind: false,
        };
        let shared = Arc::new(Shared { asking: tokio::sync::Mutex::default(), known: Mutex::new(known) });
        Self { queue, limits, fresh_for: FRESH, client, ask_depth, ages: None, shared }
    }

    /// Sets the time for which a reading is used before SQS is asked again: 5 s by default.
    pub fn fresh_for(self, fresh_for: Duration) -> Self {
        Self { fresh_for, ..self }
    }

    /// Sets the delay just below the `shed` threshold: 5 s by default.
    pub fn longest_delay(self, longest_delay: Duration) -> Self {
        {
            let mut known = self.known();
            known.decider = known.decider.clone().longest_delay(longest_delay);
        }
        self
    }

    /// Reads the age of the oldest message from CloudWatch's metric `ApproximateAgeOfOldestMessage`
    /// (`cloudwatch:GetMetricStatistics`), at most once a minute, with the client's region and the process's AWS settings.
    ///
    /// The metric is some minutes late. It ignores messages that were received three times or more. Without this call, the gate
    /// uses only the depth.
    ///
    /// # Errors
    ///
    /// Returns an error for the user if no region is known, or if a setting of the environment is invalid.
    pub async fn age_from_cloudwatch(self) -> Result<Self, String> {
        let region = self.client.config().region().map(ToString::to_string);
        let cloudwatch = CloudWatch::new(region.as_deref(), &self.queue).await?;
        let ages = Ages::new(&self.queue, Arc::new(move || Box::pin(cloudwatch.clone().oldest())));
        Ok(Self { ages: Some(Arc::new(ages)), ..self })
    }

    /// Returns the state of the gate.
    ///
    /// At most every 5 s, one caller waits for SQS, for at most 2 s (and once a minute for CloudWatch, for at most 2 s);
    /// meanwhile the others get the last state. If SQS does not answer, the last reading is used for a minute; then the gate
    /// opens.
    pub async fn state(&self) -> GateState {
        if self.limits.is_off() {
            return GateState::Open;
        }
        if let Some(state) = self.fresh() {
            return state;
        }
        let last = self.last();
        let _asking = match (self.shared.asking.try_lock(), last) {
            (Ok(asking), _) => asking,
            // Another caller sends the request.
            (Err(_), Some(last)) => return last,
            (Err(_), None) => self.shared.asking.lock().await,
        };
        match self.fresh() {
            Some(state) => state,
            None => self.ask().await,
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.shared.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the state if the last reading is recent.
    fn fresh(&self) -> Option<GateState> {
        let known = self.known();
        let is_fresh = known.asked_at.is_some_and(|at| at.elapsed() < self.fresh_for);
        known.state.clone().filter(|_| is_fresh)
    }

    /// Returns the state of the last reading while that may be used.
    fn last(&self) -> Option<GateState> {
        self.known().last()
    }

    async fn ask(&self) -> GateState {
        let depth = match timeout(PATIENCE, (self.ask_depth)()).await {
            Ok(answer) => answer.map_err(|error| error.text),
            Err(_) => Err(format!("SQS does not answer within {PATIENCE:?}")),
        };
        let oldest = match &self.ages {
            Some(ages) if self.limits.has_age() && depth.is_ok() => ages.latest().await,
            _ => None,
        };
        let mut known = self.known();
        let now = Instant::now();
        let is_first = known.asked_at.replace(now).is_none();
        if is_first && self.limits.has_age() && self.ages.is_none() {
            warn!(queue = &*self.queue, "the gate goes by depth only: for ages call age_from_cloudwatch");
        }
        let state = match depth {
            Ok(depth) => {
                known.read_at = Some(now);
                known.is_blind = false;
                known.decider.step(&GateReading { depth: Some(depth), oldest })
            }
            Err(error) => {
                let last = known.last();
                if last.is_none() && !std::mem::replace(&mut known.is_blind, true) {
                    warn!(queue = &*self.queue, error, "the gate is open: the queue's depth is not known");
                }
                last.unwrap_or_default()
            }
        };
        self.log_change(known.state.as_ref(), &state);
        known.state = Some(state.clone());
        state
    }

    fn log_change(&self, before: Option<&GateState>, state: &GateState) {
        if before.map_or("open", GateState::label) == state.label() {
            return;
        }
        match state {
            GateState::Open => info!(queue = &*self.queue, "gate open"),
            GateState::Slow(_) => info!(queue = &*self.queue, "gate slows producers down"),
            GateState::Shed(reason) => warn!(queue = &*self.queue, %reason, "gate refuses producers"),
        }
    }
}

impl Known {
    fn last(&self) -> Option<GateState> {
        let counts = self.read_at.is_some_and(|at| at.elapsed() <= STALE);
        self.state.clone().filter(|_| counts)
    }
}

async fn depth(client: Client, queue_url: String) -> Result<u64, SqsError> {
    let names = [Name::ApproximateNumberOfMessages, Name::ApproximateNumberOfMessagesDelayed];
    let request = client.get_queue_attributes().queue_url(queue_url);
    let answer = request.set_attribute_names(Some(names.to_vec())).send().await;
    let attributes = answer.map_err(|error| explain("GetQueueAttributes", &error))?.attributes;
    let attributes = attributes.unwrap_or_default();
    let count = |name| attributes.get(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    Ok(names.iter().map(count).sum())
}

#[cfg(test)]
#[path = "queue_gate_tests.rs"]
pub(super) mod tests;
