//! A function in the test's own process, and Lambda's part around it.

use std::sync::Arc;
use std::time::Duration;

use drumline::{Intake, Ledger, Message, Note, Policy, Router};
use drumline_host::aws::is_fifo;
use drumline_host::{Books, Driver, FifoStop, Listener, Parts, Queue, QueueMetrics};
use drumline_lambda::{Memory, Outcomes, batch_policy, run_batch};
use drumline_tests::ModelQueue;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

/// Longer than ten jobs of a message group take one after the other, since what the deadline interrupts has no like in the
/// consumer. The queue's visibility is six times that, as AWS advises.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(600);

/// A function with one event source mapping.
pub(crate) struct TestFunction {
    pub(crate) queue: ModelQueue,
    pub(crate) router: Router,
    pub(crate) change: fn(&mut Policy),
    pub(crate) listener: Arc<dyn Listener>,
    pub(crate) books: Books,
    pub(crate) intake: Intake,
}

/// Both are notified of everything.
struct Both(Arc<dyn Listener>, Arc<Outcomes>);

impl Listener for Both {
    fn note(&self, queue: &str, note: &Note) {
        self.0.note(queue, note);
        self.1.note(queue, note);
    }
}

struct NoMetrics;
impl QueueMetrics for NoMetrics {}

/// What is kept between invocations.
struct Process {
    name: Arc<str>,
    function: TestFunction,
    router: Arc<Router>,
    intake: Arc<Intake>,
    memory: Memory,
}

impl TestFunction {
    /// Lambda's part until the queue is empty: receives batches, invokes, deletes what is not listed.
    pub(crate) async fn until_drained(self) {
        let name = self.queue.queue_url.rsplit('/').next().unwrap();
        let process = Arc::new(Process {
            name: Arc::from(name),
            router: Arc::new(self.router.clone()),
            intake: Arc::new(self.intake.clone()),
            memory: Memory::default(),
            function: self,
        });
        let queue = &process.function.queue;
        let mut invocations = tokio::task::JoinSet::new();
        while !queue.left().is_empty() {
            let messages = queue.messages_now(10);
            if messages.is_empty() {
                sleep(Duration::from_millis(100)).await;
            } else {
                let process = Arc::clone(&process);
                invocations.spawn(async move { process.invoke(messages).await });
            }
        }
        while let Some(ended) = invocations.join_next().await {
            ended.unwrap();
        }
    }
}

impl Process {
    async fn invoke(&self, messages: Vec<Message>) {
        let function = &self.function;
        let begun = Instant::now();
        let mut policy = Policy::new(function.queue.visibility);
        policy.fifo = is_fifo(&self.name);
        policy.claims = true;
        (function.change)(&mut policy);
        let past = self.memory.lock().unwrap().about(messages.iter().map(|message| &*message.id));
        let outcomes = Arc::new(Outcomes::remembered_by(Arc::clone(&self.memory)));
        let mut driver = Driver::new(Parts {
            name: Arc::clone(&self.name),
            intake: Arc::clone(&self.intake),
            ledger: Ledger::recalling(batch_policy(policy, FifoStop::Group), past).unwrap(),
            queue: Arc::new(function.queue.clone()) as Arc<dyn Queue>,
            router: Arc::clone(&self.router),
            metrics: Arc::new(NoMetrics),
            listener: Arc::new(Both(Arc::clone(&function.listener), Arc::clone(&outcomes))),
            status: Arc::default(),
            books: Some(function.books.clone()),
            handlers: Handle::current(),
        });
        let receipts: Vec<(String, String)> =
            messages.iter().map(|message| (message.id.to_string(), message.receipt.clone())).collect();
        let end = begun + FUNCTION_TIMEOUT - Duration::from_secs(1);
        run_batch(&mut driver, messages, end - Duration::from_secs(3), end).await;
        let done = outcomes.done();
        let gone: Vec<&str> = receipts
            .iter()
            .filter(|(id, _)| done.contains(id.as_str()))
            .map(|(_, receipt)| &**receipt)
            .collect();
        function.queue.delete_receipts(&gone);
    }
}
