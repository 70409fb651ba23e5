//! A queue as a function sees it: identified by the ARN in its records, and queried only when necessary.

use std::sync::Arc;
use std::time::Duration;

use drumline::core::{Action, CallError, Replies, SqsErrorKind};
use drumline::message::{Intake, Message};
use drumline::run::Observer;
use drumline_runtime::aws::{AwsQueue, QueueFacts, SqsClientSwitch, connect};
use drumline_runtime::payload::{PayloadSettings, Payloads};
use drumline_runtime::{
    BoxFuture, Logs, Queue, QueueSettings, QueueStatus, SharedOutcomeCache, SqsError, TenantLabels,
    TypeLabels,
};
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tracing::warn;

use crate::facts::CachedFacts;
use crate::silence::{Question, Silence};

/// A batch that ends within this time does not need the length of its leases. A shorter lease has expired before the function
/// was invoked.
const LEASE_MATTERS_AFTER: Duration = Duration::from_secs(1);

/// The longest time that a batch waits for the queue's redrive policy: long enough for a new connection to SQS. If SQS did not
/// respond, no batch waits again within one minute.
const RETRIES_MATTER_FOR: Duration = Duration::from_secs(1);

/// The divisor of the handlers' time that limits this wait. A function with a timeout of a few seconds keeps most of it for its
/// jobs.
const SHARE_OF_HANDLERS: u32 = 4;

/// The state of a queue that is kept between invocations.
pub(crate) struct KnownQueue {
    pub(crate) name: Arc<str>,
    pub(crate) settings: QueueSettings,
    pub(crate) intake: Arc<Intake>,
    pub(crate) status: Arc<QueueStatus>,
    pub(crate) memory: SharedOutcomeCache,
    pub(crate) payloads: Payloads,
    /// Kept because the number of type labels is bounded over all invocations.
    pub(crate) types: Arc<TypeLabels>,
    pub(crate) tenants: Arc<TenantLabels>,
    /// Kept because some lines are logged only once.
    pub(crate) logs: Arc<Logs>,
    /// `None` if the queue has no URL and so cannot be reached.
    sqs_client: Option<SqsClientSwitch>,
    aws: OnceCell<AwsQueue>,
    facts: CachedFacts,
    silence: Arc<Silence>,
}

impl KnownQueue {
    /// Returns a queue called `name` with this choice of client. A queue without a URL has no client and cannot be reached.
    pub(crate) fn new(
        name: Arc<str>,
        settings: QueueSettings,
        intake: Arc<Intake>,
        logs: Arc<Logs>,
        payloads: PayloadSettings,
        sqs_client: Option<SqsClientSwitch>,
    ) -> Self {
        let payloads = Payloads::for_queue(payloads, settings.url.clone());
        Self {
            name,
            settings,
            intake,
            status: Arc::default(),
            memory: SharedOutcomeCache::default(),
            payloads,
            types: Arc::default(),
            tenants: Arc::default(),
            logs,
            sqs_client,
            aws: OnceCell::new(),
            facts: CachedFacts::default(),
            silence: Arc::default(),
        }
    }

    /// Returns false if the last call to the queue failed, or got no response for as long as a batch waited.
    pub(crate) fn answers(&self) -> bool {
        !self.silence.lasts()
    }

    /// Starts the record of a call to the queue, whose result shows if the queue responds.
    fn is_asked(&self) -> Question {
        self.silence.question()
    }

    /// Returns the facts that SQS has reported about the queue so far.
    pub(crate) fn facts(&self) -> Option<&QueueFacts> {
        self.facts.get()
    }

    /// Requests the queue's facts from SQS until it responds. After a transient error, the next request is sent after a minute
    /// at the earliest.
    async fn ask(&self, observer: Arc<dyn Observer>) -> Option<&QueueFacts> {
        let ask = async || {
            let of_settings = |text: String| SqsError::new(SqsErrorKind::Other, text);
            let result = match self.aws(observer).await.map_err(of_settings) {
                Ok(queue) => queue.describe().await,
                Err(error) => Err(error),
            };
            match &result {
                Ok(facts) if facts.is_unbounded() && !self.settings.allow_unbounded => warn!(
                    queue = &*self.name,
                    "the queue has no DLQ: a job that always fails is retried until its message expires; give the \
                     queue a redrive policy, or set DRUMLINE_ALLOW_UNBOUNDED=true"
                ),
                Ok(_) => {}
                // The function works without them: Lambda makes sure that the visibility timeout outlasts the function's
                // timeout.
                Err(error) => {
                    warn!(queue = &*self.name, error = error.text, "queue attributes unavailable");
                }
            }
            result
        };
        self.facts.get_or_ask(ask).await
    }

    /// Requests the queue's facts from SQS while a batch waits, until `end`. Returns `None` without a wait if SQS has responded
    /// before, or is not likely to respond.
    pub(crate) async fn ask_until(&self, end: Instant, observer: Arc<dyn Observer>) -> Option<&QueueFacts> {
        if !self.facts.are_worth_a_wait() || !self.answers() || end <= Instant::now() {
            return None;
        }
        let question = self.is_asked();
        let Ok(facts) = tokio::time::timeout_at(end, self.ask(observer)).await else {
            self.facts.waited_in_vain();
            return None;
        };
        // A refusal is a response.
        question.ended(self.facts.are_settled());
        facts
    }

    /// Requests the queue's facts before a batch with a message that was received before: the queue's redrive policy determines
    /// the backoff of `auto` and the last attempt. After a first receive the backoff is one second on nearly every queue, so
    /// first receives cause no request. Handlers have their time until `drain_at`.
    pub(crate) async fn ask_for_retries(
        &self,
        messages: &[Message],
        drain_at: Instant,
        observer: Arc<dyn Observer>,
    ) {
        let again = messages.iter().any(|message| message.receive_count > 1);
        if again && self.sqs_client.is_some() {
            let now = Instant::now();
            let wait = RETRIES_MATTER_FOR.min(drain_at.saturating_duration_since(now) / SHARE_OF_HANDLERS);
            // Without a response, the backoff is that of an assumed redrive policy.
            self.ask_until(now + wait, observer).await;
        }
    }

    /// Returns the length of leases, for a batch that takes long. `None` if it is already known, or cannot be known.
    pub(crate) fn lease(
        self: &Arc<Self>,
        observer: Arc<dyn Observer>,
    ) -> Option<BoxFuture<Option<Duration>>> {
        if self.settings.visibility_timeout.is_some() || self.facts.are_settled() || self.sqs_client.is_none()
        {
            return None;
        }
        let queue = Arc::clone(self);
        Some(Box::pin(async move {
            tokio::time::sleep(LEASE_MATTERS_AFTER).await;
            queue.ask(observer).await.map(|facts| facts.visibility_timeout)
        }))
    }

    async fn aws(&self, observer: Arc<dyn Observer>) -> Result<AwsQueue, String> {
        let Some(sqs_client) = &self.sqs_client else {
            return Err("the records have no eventSourceARN, so their queue is not known".to_owned());
        };
        let url = &self.settings.url;
        let make = async || {
            let clients = connect(url, Duration::ZERO).await?.by(sqs_client);
            Ok::<_, String>(AwsQueue::new(clients, url.to_string(), Arc::clone(&observer)))
        };
        Ok(self.aws.get_or_try_init(make).await?.observed_by(observer))
    }
}

/// The queue of one batch.
pub(crate) struct BatchQueue {
    pub(crate) queue: Arc<KnownQueue>,
    pub(crate) observer: Arc<dyn Observer>,
}

impl Queue for BatchQueue {
    fn receive(&self, _max: usize) -> BoxFuture<Result<Vec<Message>, SqsError>> {
        unreachable!("a ledger that does not poll opens no receive")
    }

    fn perform(&self, action: Action) -> BoxFuture<Replies> {
        let (queue, observer) = (Arc::clone(&self.queue), Arc::clone(&self.observer));
        Box::pin(async move {
            let count = action.deliveries().len();
            let refused = |why: String| vec![Err(CallError::Refused(why)); count];
            let aws = match queue.aws(observer).await {
                Ok(aws) => aws,
                Err(why) => return refused(why),
            };
            let Action::ChangeVisibility(entries) = action else { return aws.perform(action).await };
            let question = queue.is_asked();
            // One empty handle would make SQS reject the whole call.
            let has_receipt: Vec<bool> = entries.iter().map(|entry| !entry.receipt.is_empty()).collect();
            let known: Vec<_> = entries.into_iter().filter(|entry| !entry.receipt.is_empty()).collect();
            let mut replies = Vec::new();
            if !known.is_empty() {
                replies = aws.perform(Action::ChangeVisibility(known)).await;
            }
            question.ended(replies.is_empty() || replies.iter().any(is_an_answer));
            let mut replies = replies.into_iter();
            let no_receipt = || Err(CallError::Refused("the record has no receiptHandle".to_owned()));
            let missing = || Err(CallError::Failed("the answer does not mention this entry".to_owned()));
            has_receipt
                .into_iter()
                .map(|known| if known { replies.next().unwrap_or_else(missing) } else { no_receipt() })
                .collect()
        })
    }
}

/// Returns false for a failure that may come from an unreachable queue.
fn is_an_answer(reply: &Result<(), CallError>) -> bool {
    !matches!(reply, Err(CallError::Failed(_)))
}
