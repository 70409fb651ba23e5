//! A function in the test's process, and Lambda's actions around it.

use std::sync::Arc;
use std::time::Duration;

use drumline::Router;
use drumline::core::{Claims, Ledger, Policy};
use drumline::message::{Intake, Message};
use drumline::run::Observer;
use drumline_lambda::{batch_policy, run_batch};
use drumline_runtime::aws::is_fifo;
use drumline_runtime::payload::Payloads;
use drumline_runtime::{ClaimStoreClient, Driver, DriverConfig, FifoStop, Queue, SharedOutcomeCache};
use drumline_tests::ModelQueue;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

/// Longer than ten jobs of a message group take one after the other, because an interruption by the deadline has no counterpart
/// in the consumer. The queue's visibility timeout is six times that, as AWS recommends.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(600);

/// A function with one event source mapping.
pub(crate) struct TestFunction {
    pub(crate) queue: ModelQueue,
    pub(crate) router: Router,
    pub(crate) change: fn(&mut Policy),
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) claim_store: ClaimStoreClient,
    pub(crate) intake: Intake,
}

/// An invocation and its response.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Response {
    pub(crate) begun: Duration,
    pub(crate) ended: Duration,
    pub(crate) messages: Vec<String>,
    /// The messages that are not listed, so Lambda deletes them.
    pub(crate) deleted: Vec<String>,
    pub(crate) failed_permanently: bool,
}

/// The state that is kept between invocations.
struct Process {
    name: Arc<str>,
    function: TestFunction,
    router: Arc<Router>,
    intake: Arc<Intake>,
    memory: SharedOutcomeCache,
}

impl TestFunction {
    /// Does Lambda's part until the queue is empty: receives batches, invokes, deletes messages that are not listed. Returns
    /// the responses in the order of their invocations.
    pub(crate) async fn until_drained(self) -> Vec<Response> {
        let begun = Instant::now();
        let name = self.queue.queue_url.rsplit('/').next().unwrap();
        let process = Arc::new(Process {
            name: Arc::from(name),
            router: Arc::new(self.router.clone()),
            intake: Arc::new(self.intake.clone()),
            memory: SharedOutcomeCache::default(),
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
                invocations.spawn(async move { process.invoke(begun, messages).await });
            }
        }
        let mut responses = invocations.join_all().await;
        responses.sort();
        responses
    }
}

impl Process {
    async fn invoke(&self, since: Instant, messages: Vec<Message>) -> Response {
        let function = &self.function;
        let begun = Instant::now();
        let mut policy = Policy::new(function.queue.visibility);
        policy.fifo = is_fifo(&self.name);
        policy.claims = Claims::Required;
        (function.change)(&mut policy);
        let prior = self.memory.about(messages.iter().map(|message| &*message.id));
        let mut driver = Driver::new(DriverConfig {
            name: Arc::clone(&self.name),
            intake: Arc::clone(&self.intake),
            ledger: Ledger::recalling(batch_policy(policy, FifoStop::Group), prior).unwrap(),
            queue: Arc::new(function.queue.clone()) as Arc<dyn Queue>,
            router: Arc::clone(&self.router),
            observer: Arc::clone(&function.observer),
            status: Arc::default(),
            claim_store: Some(function.claim_store.clone()),
            payloads: Payloads::default(),
            next_jobs: Some(function.queue.next_jobs()),
            limits: None,
            handlers: Handle::current(),
        });
        driver.remember_in(self.memory.clone());
        let receipts: Vec<(String, String)> =
            messages.iter().map(|message| (message.id.to_string(), message.receipt.clone())).collect();
        let end = begun + FUNCTION_TIMEOUT - Duration::from_secs(1);
        let report = run_batch(&mut driver, messages, end - Duration::from_secs(3), end).await;
        let gone = receipts.iter().filter(|(id, _)| report.deletable.contains(id.as_str()));
        let (deleted, gone): (Vec<String>, Vec<&str>) =
            gone.map(|(id, receipt)| (id.clone(), &**receipt)).unzip();
        function.queue.delete_receipts(&gone);
        Response {
            begun: begun - since,
            ended: since.elapsed(),
            messages: receipts.into_iter().map(|(id, _)| id).collect(),
            deleted,
            failed_permanently: report.failed_permanently,
        }
    }
}
