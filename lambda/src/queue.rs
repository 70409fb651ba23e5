//! A queue as a function meets it: known by the ARN in its records, asked about only when there is a need.

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

/// A batch that is through by then never needs to know how long its leases are; a lease that is shorter has lapsed before
/// the function was invoked.
const LEASE_MATTERS_AFTER: Duration = Duration::from_secs(1);

/// The longest time that a batch waits for the queue's redrive policy: long enough for a new connection to SQS. No batch waits
/// again within a minute if there was no answer.
const RETRIES_MATTER_FOR: Duration = Duration::from_secs(1);

/// The share of the handlers' time that this wait may take, as a divisor: a function with a timeout of a few seconds keeps most of
/// it for its jobs.
const SHARE_OF_HANDLERS: u32 = 4;

/// What is kept of a queue from one invocation to the next.
pub(crate) struct KnownQueue {
    pub(crate) name: Arc<str>,
    pub(crate) settings: QueueSettings,
    pub(crate) intake: Arc<Intake>,
    pub(crate) status: Arc<QueueStatus>,
    pub(crate) memory: SharedOutcomeCache,
    pub(crate) payloads: Payloads,
    /// Kept, since types are bounded over all invocations.
    pub(crate) types: Arc<TypeLabels>,
    pub(crate) tenants: Arc<TenantLabels>,
    /// Kept, since some lines are logged once only.
    pub(crate) logs: Arc<Logs>,
    /// `None` if the queue has no URL, so that it cannot be reached.
    sqs_client: Option<SqsClientSwitch>,
    aws: OnceCell<AwsQueue>,
    facts: CachedFacts,
    silence: Arc<Silence>,
}

impl KnownQueue {
    /// A queue called `name`, with the choice of its client. One without a URL has none, and cannot be reached.
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

    /// Returns false if the last call to the queue failed, or was not answered for as long as a batch waited.
    pub(crate) fn answers(&self) -> bool {
        !self.silence.lasts()
    }

    /// A call to the queue that begins now, and that shows if the queue answers.
    fn is_asked(&self) -> Question {
        self.silence.question()
    }

    /// What SQS has told of the queue so far.
    pub(crate) fn facts(&self) -> Option<&QueueFacts> {
        self.facts.get()
    }

    /// Asks SQS about the queue until it answers, and a minute after a transient error at the earliest.
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
                // The function works without: Lambda sees to it that the visibility outlasts the function's timeout.
                Err(error) => {
                    warn!(queue = &*self.name, error = error.text, "the queue cannot be asked about itself");
                }
            }
            result
        };
        self.facts.get_or_ask(ask).await
    }

    /// Asks SQS about the queue while a batch waits, until `end`. Returns `None` without a wait if SQS has answered before, or
    /// is not likely to answer.
    pub(crate) async fn ask_until(&self, end: Instant, observer: Arc<dyn Observer>) -> Option<&QueueFacts> {
        if !self.facts.are_worth_a_wait() || !self.answers() || end <= Instant::now() {
            return None;
        }
        let question = self.is_asked();
        let Ok(facts) = tokio::time::timeout_at(end, self.ask(observer)).await else {
            self.facts.waited_in_vain();
            return None;
        };
        // A refusal is an answer.
        question.ended(self.facts.are_settled());
        facts
    }

    /// Asks SQS about the queue before a batch with a message that was received before: its redrive policy decides how long
    /// `auto` waits, and which attempt is the last. After a first receive the wait is a second on nearly every queue, so first
    /// receives are no reason to ask. Handlers have their time until `drain_at`.
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
            // Without an answer the waits are those of an assumed redrive policy.
            self.ask_until(now + wait, observer).await;
        }
    }

    /// The length of leases, for a batch that takes its time; `None` where it is known already, or cannot be known.
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
            // One empty handle would have SQS refuse the whole call.
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

/// Returns false for a failure that may be due to a queue that cannot be reached.
fn is_an_answer(reply: &Result<(), CallError>) -> bool {
    !matches!(reply, Err(CallError::Failed(_)))
}
