//! A queue as a function meets it: known by the ARN in its records, asked about only when there is a need.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use drumline::{Action, CallError, Intake, Message, Observer, Replies};
use drumline_host::aws::{AwsQueue, QueueFacts, connect};
use drumline_host::{BoxFuture, Logs, Memory, Queue, QueueSettings, QueueStatus, SqsError};
use tokio::sync::OnceCell;
use tracing::warn;

/// A batch that is through by then never needs to know how long its leases are; a lease that is shorter has lapsed before
/// the function was invoked.
const LEASE_MATTERS_AFTER: Duration = Duration::from_secs(1);

/// The time that a batch waits for the queue's redrive policy, once in a process: long enough for a new connection to SQS,
/// and short of what a function's timeout notices.
const RETRIES_MATTER_FOR: Duration = Duration::from_secs(1);

/// What is kept of a queue from one invocation to the next.
pub(crate) struct KnownQueue {
    pub(crate) name: Arc<str>,
    /// `None` where the records do not tell their queue: nothing can be said to it then.
    pub(crate) settings: QueueSettings,
    pub(crate) intake: Arc<Intake>,
    pub(crate) status: Arc<QueueStatus>,
    pub(crate) memory: Memory,
    /// Kept, since some lines are logged once only.
    pub(crate) logs: Arc<Logs>,
    reachable: bool,
    aws: OnceCell<AwsQueue>,
    facts: OnceCell<Option<QueueFacts>>,
    /// The last call to the queue was not answered.
    silent: AtomicBool,
}

impl KnownQueue {
    /// A queue called `name`. One that is not `reachable` has no URL: nothing can be said to it.
    pub(crate) fn new(
        name: Arc<str>,
        settings: QueueSettings,
        intake: Arc<Intake>,
        logs: Arc<Logs>,
        reachable: bool,
    ) -> Self {
        Self {
            name,
            settings,
            intake,
            status: Arc::default(),
            memory: Memory::default(),
            logs,
            reachable,
            aws: OnceCell::new(),
            facts: OnceCell::new(),
            silent: AtomicBool::new(false),
        }
    }

    /// Returns false if the last call to the queue failed, or was not answered for as long as a batch waited.
    pub(crate) fn answers(&self) -> bool {
        !self.silent.load(Ordering::Relaxed)
    }

    /// Counts as silent until a call is answered.
    pub(crate) fn is_asked(self: &Arc<Self>) -> Question {
        Question { queue: Arc::clone(self), answered: false }
    }

    /// What SQS has told of the queue so far.
    pub(crate) fn facts(&self) -> Option<&QueueFacts> {
        self.facts.get()?.as_ref()
    }

    /// Asks SQS about the queue, once.
    pub(crate) async fn ask(&self, observer: Arc<dyn Observer>) -> Option<&QueueFacts> {
        let ask = async || match self.aws(observer).await {
            Ok(queue) => match queue.describe().await {
                Ok(facts) => {
                    if facts.is_unbounded() && !self.settings.allow_unbounded {
                        warn!(
                            queue = &*self.name,
                            "the queue has no DLQ: a job that always fails is retried until its message expires; give the \
                             queue a redrive policy, or set DRUMLINE_ALLOW_UNBOUNDED=true"
                        );
                    }
                    Some(facts)
                }
                Err(error) => {
                    // The function works without: Lambda sees to it that the visibility outlasts the function's timeout.
                    warn!(queue = &*self.name, error = error.text, "the queue cannot be asked about itself");
                    None
                }
            },
            Err(error) => {
                warn!(queue = &*self.name, error, "the queue cannot be asked about itself");
                None
            }
        };
        self.facts.get_or_init(ask).await.as_ref()
    }

    /// Asks SQS about the queue before a batch with a message that was received before: its redrive policy decides how long
    /// `auto` waits, and which attempt is the last. After a first receive the wait is a second on nearly every queue, so first
    /// receives are no reason to ask.
    pub(crate) async fn ask_for_retries(&self, messages: &[Message], observer: Arc<dyn Observer>) {
        let again = messages.iter().any(|message| message.receive_count > 1);
        if again && self.reachable && !self.facts.initialized() {
            // Without an answer the waits are those of an assumed redrive policy.
            let _ = tokio::time::timeout(RETRIES_MATTER_FOR, self.ask(observer)).await;
        }
    }

    /// The length of leases, for a batch that takes its time; `None` where it is known already, or cannot be known.
    pub(crate) fn lease(
        self: &Arc<Self>,
        observer: Arc<dyn Observer>,
    ) -> Option<BoxFuture<Option<Duration>>> {
        if self.settings.visibility_timeout.is_some() || self.facts.initialized() || !self.reachable {
            return None;
        }
        let queue = Arc::clone(self);
        Some(Box::pin(async move {
            tokio::time::sleep(LEASE_MATTERS_AFTER).await;
            queue.ask(observer).await.map(|facts| facts.visibility_timeout)
        }))
    }

    async fn aws(&self, observer: Arc<dyn Observer>) -> Result<AwsQueue, String> {
        if !self.reachable {
            return Err("the records have no eventSourceARN, so their queue is not known".to_owned());
        }
        let url = &self.settings.url;
        let make = async || {
            let clients = connect(url, Duration::ZERO).await?;
            Ok::<_, String>(AwsQueue::new(clients, url.to_string(), Arc::clone(&observer)))
        };
        Ok(self.aws.get_or_try_init(make).await?.observed_by(observer))
    }
}

/// A call to the queue. One that is dropped without an answer leaves the queue silent.
pub(crate) struct Question {
    queue: Arc<KnownQueue>,
    answered: bool,
}

impl Question {
    /// The call ended, with an answer of SQS or without.
    pub(crate) fn ended(mut self, answered: bool) {
        self.answered = answered;
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.queue.silent.store(!self.answered, Ordering::Relaxed);
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
