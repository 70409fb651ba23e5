//! Orders for all workers: documents of the store, which each worker reads every few seconds.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use drumline_store::{Document, MAX_DOCUMENT_KEEP, Store, StoreError};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{debug, info, warn};

use super::documents::{KIND, TRIES};
use super::jobs::{self, JobResultKind, StoredJob, StoredJobs, put_job_reply};
use super::order::{Order, Target};
use super::orders::Orders;
use super::view::QueueView;
use super::worker::{Control, now_ms};

/// The time within which workers follow an order in the store.
pub const FOLLOWED_WITHIN: Duration = Duration::from_secs(5);

/// The interval at which a worker reads all orders, in one request.
const READ_EVERY: Duration = Duration::from_millis(2_500);

/// The longest time for which an answer is waited for: with [`READ_EVERY`] within [`FOLLOWED_WITHIN`].
const READ_TIME: Duration = Duration::from_secs(2);

/// For how long a document is kept whose orders were withdrawn, so that workers log by whom.
const KEEP_WITHDRAWN: Duration = Duration::from_secs(10 * 60);

/// The kind of the documents in which workers report what they have in hand, one for each worker.
const REPORTS: &str = "control-workers";

/// For how long a report is kept: a worker that has ended is forgotten then.
const KEEP_REPORT: Duration = Duration::from_secs(15);

/// Gives an order to all workers of a store. Returns the orders that hold for its target then. The last of several writers wins.
///
/// # Errors
/// If the store keeps no documents, or does not answer.
pub async fn put_order(store: &dyn Store, order: &Order, now_ms: u64) -> Result<Orders, StoreError> {
    let name = order.target.document();
    for _ in 0..TRIES {
        let before = store.document(KIND, &name).await?;
        let mut orders: Orders =
            before.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        orders.end(now_ms);
        orders.give(order, now_ms);
        let text = serde_json::to_string(&orders).expect("it is made of texts and numbers");
        let is_put = store.put_document(KIND, &name, before.as_deref(), &text, keep(&orders, now_ms)).await?;
        if is_put {
            return Ok(orders);
        }
    }
    Err(StoreError::Refused("others change the same orders all the time".into()))
}

/// Returns the orders for all workers.
///
/// # Errors
/// If the store keeps no documents, or does not answer.
pub async fn stored_orders(store: &dyn Store, now_ms: u64) -> Result<BTreeMap<Target, Orders>, StoreError> {
    let found = store.documents(KIND).await?.into_iter().filter_map(|document| {
        let (target, orders) = read(&document)?;
        let mut orders = orders?;
        orders.end(now_ms);
        Some((target, orders))
    });
    Ok(found.collect())
}

/// The time for which the document is kept: longer than its orders hold, whose end each worker sees by itself.
fn keep(orders: &Orders, now_ms: u64) -> Duration {
    match orders.last_end() {
        Some(end) => {
            (Duration::from_millis(end.saturating_sub(now_ms)) + KEEP_WITHDRAWN).min(MAX_DOCUMENT_KEEP)
        }
        None => MAX_DOCUMENT_KEEP,
    }
}

/// Returns the target of a document, and its orders if they can be read.
fn read(document: &Document) -> Option<(Target, Option<Orders>)> {
    let target = Target::of_document(&document.name)?;
    Some((target, serde_json::from_str(&document.text).ok()))
}

/// A worker's report about a queue that is paused everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainReport {
    /// The worker's name.
    pub worker: String,
    /// It follows the pause, nothing of the queue is in hand, and no open receive can bring more.
    pub is_drained: bool,
    /// The messages of the queue that it has in hand.
    pub in_hand: usize,
}

/// A report as a document.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// So that each report differs from the one before.
    at_ms: u64,
    queues: BTreeMap<String, ReportedQueue>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReportedQueue {
    drained: bool,
    in_hand: usize,
}

/// Returns what workers have reported about a queue lately. They report while an order for all workers pauses one of their queues.
///
/// # Errors
/// If the store keeps no documents, or does not answer.
pub async fn drains(store: &dyn Store, queue: &str) -> Result<Vec<DrainReport>, StoreError> {
    let found = store.documents(REPORTS).await?.into_iter().filter_map(|document| {
        let mut report: Report = serde_json::from_str(&document.text).ok()?;
        let ReportedQueue { drained, in_hand } = report.queues.remove(queue)?;
        Some(DrainReport { worker: document.name, is_drained: drained, in_hand })
    });
    Ok(found.collect())
}

/// Follows the orders of a store, and ends those whose time is over. It ends when dropped.
pub(crate) struct Follower {
    task: JoinHandle<()>,
}

impl Follower {
    /// Reads the orders of the store, and follows them from then on. A store that does not outlive the process has none.
    pub(crate) async fn start(control: Control, store: &Arc<dyn Store>) -> Self {
        let mut reader = store.outlives_its_process().then(|| Reader::new(Arc::clone(store)));
        if let Some(reader) = &mut reader {
            reader.read(&control).await;
        }
        let reader = reader.filter(|reader| !reader.refuses);
        if reader.is_some() {
            control.follows_store();
        }
        Self { task: tokio::spawn(follow(control, reader)) }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(control: Control, mut reader: Option<Reader>) {
    let is_reading = reader.is_some();
    let mut reads = interval(READ_EVERY);
    reads.set_missed_tick_behavior(MissedTickBehavior::Delay);
    reads.reset();
    loop {
        let changed = control.changed();
        let next_end = control.tick();
        tokio::select! {
            _ = reads.tick(), if is_reading => if let Some(reader) = &mut reader { reader.read(&control).await },
            () = changed => {}
            () = sleep(next_end.unwrap_or_default()), if next_end.is_some() => {}
        }
    }
}

/// Reads the orders of a store.
struct Reader {
    store: Arc<dyn Store>,
    /// It has not answered the last time.
    fails: bool,
    /// It keeps no documents.
    refuses: bool,
    /// The last report of this worker.
    reported: Option<String>,
    /// The orders about jobs that the queues have been given.
    seen_jobs: HashSet<String>,
    knows_jobs: bool,
}

impl Reader {
    fn new(store: Arc<dyn Store>) -> Self {
        let seen_jobs = HashSet::new();
        Self { store, fails: false, refuses: false, reported: None, seen_jobs, knows_jobs: false }
    }
}

impl Reader {
    async fn read(&mut self, control: &Control) {
        let answer = match timeout(READ_TIME, self.store.documents(KIND)).await {
            Ok(Err(StoreError::Refused(why))) => {
                debug!(%why, "the store keeps no orders of operators");
                self.refuses = true;
                return;
            }
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {READ_TIME:?}")),
        };
        match answer {
            Ok(documents) => {
                if std::mem::take(&mut self.fails) {
                    info!("orders of operators are read again");
                }
                let jobs = documents.iter().find(|document| document.name == jobs::DOCUMENT);
                self.order_jobs(control, jobs.map(|document| &*document.text));
                control.learn(documents.iter().filter_map(read).collect());
                if let Err(error) = timeout(READ_TIME, self.report(control)).await.unwrap_or(Ok(())) {
                    debug!(%error, "messages in hand not reported");
                }
            }
            Err(error) if !self.fails => {
                self.fails = true;
                warn!(error, "orders of operators cannot be read from the store: the last ones hold");
            }
            Err(_) => {}
        }
    }

    /// Gives the queues the orders about jobs that are new, and writes down what has become of them.
    fn order_jobs(&mut self, control: &Control, text: Option<&str>) {
        let mut jobs: StoredJobs = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let now_ms = now_ms();
        jobs.orders.retain(|order| order.until_ms > now_ms);
        control.learn_cancelled(jobs.orders.iter().map(|order| &order.request));
        let is_first = !std::mem::replace(&mut self.knows_jobs, true);
        let seen: HashSet<String> = jobs.orders.iter().map(|order| order.id.clone()).collect();
        for StoredJob { id, request, .. } in jobs.orders {
            // A worker that starts has nothing in hand, and learns of cancelled jobs as its queues start.
            if is_first || self.seen_jobs.contains(&id) {
                continue;
            }
            let (control, store) = (control.clone(), Arc::clone(&self.store));
            tokio::spawn(async move {
                let reply = control.order_job(&request, "everywhere").await;
                if reply.result != JobResultKind::Unknown
                    && let Err(error) = put_job_reply(&*store, &id, &reply).await
                {
                    warn!(job_id = request.job, %error, "answer to an operator not written");
                }
            });
        }
        self.seen_jobs = seen;
    }

    /// Reports what is in hand, for an operator who drains queues everywhere.
    async fn report(&mut self, control: &Control) -> Result<(), StoreError> {
        let view = control.view(None);
        if view.queues.iter().all(|queue| queue.everywhere.paused.is_none()) {
            return Ok(());
        }
        let queues = view
            .queues
            .into_iter()
            .map(|QueueView { queue, in_hand, drained, .. }| (queue, ReportedQueue { drained, in_hand }));
        let report = Report { at_ms: now_ms(), queues: queues.collect() };
        let text = serde_json::to_string(&report).expect("it is made of texts and numbers");
        let put = async |before: Option<&str>| {
            self.store.put_document(REPORTS, &view.worker, before, &text, KEEP_REPORT).await
        };
        if !put(self.reported.as_deref()).await? {
            // It has expired since, or the answer to a put was lost.
            let before = self.store.document(REPORTS, &view.worker).await?;
            put(before.as_deref()).await?;
        }
        self.reported = Some(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::num::NonZeroUsize;

    use drumline::core::{LimitRules, Limits};
    use drumline_runtime::QueueStatus;
    use drumline_store::{MemoryStore, Retention};

    use super::*;
    use crate::control::{Action, ControlledQueue};

    fn order(action: Action) -> Order {
        Order { target: Target::Queue("jobs".into()), action, by: "ada".into(), why: None, lasts: None }
    }

    fn store() -> MemoryStore {
        MemoryStore::new("w".into(), Retention::default())
    }

    fn control() -> Control {
        let limits = Limits::new(LimitRules::none(NonZeroUsize::MIN));
        let queue = ControlledQueue {
            name: "jobs".to_owned(),
            concurrency: NonZeroUsize::new(32).unwrap(),
            status: Arc::new(QueueStatus::default()),
        };
        Control::new("w-1", vec![queue], limits, None)
    }

    #[tokio::test]
    async fn orders_of_one_target_are_one_document() {
        let store = store();
        put_order(&store, &order(Action::Pause), 1_000).await.unwrap();
        let count = NonZeroUsize::new(5).unwrap();
        let orders = put_order(&store, &order(Action::Concurrency(count)), 2_000).await.unwrap();
        assert!(orders.paused.is_some() && orders.concurrency.is_some());
        let target = order(Action::Pause).target;
        assert_eq!(stored_orders(&store, 3_000).await.unwrap(), [(target.clone(), orders)].into());
        let orders = put_order(&store, &order(Action::Reset), 4_000).await.unwrap();
        assert!(orders.is_empty());
        assert!(stored_orders(&store, 5_000).await.unwrap()[&target].is_empty());
        assert_eq!(keep(&orders, 4_000), KEEP_WITHDRAWN);
    }

    #[tokio::test]
    async fn a_worker_reports_its_messages_while_a_queue_is_paused() {
        let (store, control): (Arc<dyn Store>, _) = (Arc::new(store()), control());
        let mut reader = Reader::new(Arc::clone(&store));
        reader.read(&control).await;
        assert_eq!(drains(&*store, "jobs").await.unwrap(), []);
        put_order(&*store, &order(Action::Pause), 1_000).await.unwrap();
        for _ in 0..2 {
            reader.read(&control).await;
            let reports = drains(&*store, "jobs").await.unwrap();
            // Its loop does not run here, so it has not obeyed yet.
            assert_eq!(reports, [DrainReport { worker: "w-1".into(), is_drained: false, in_hand: 0 }]);
            reader.reported = None;
        }
        assert_eq!(drains(&*store, "mail").await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_worker_reads_earlier_orders_and_keeps_them_in_an_outage() {
        let (store, control): (Arc<dyn Store>, _) = (Arc::new(store()), control());
        put_order(&*store, &order(Action::Pause), 1_000).await.unwrap();
        let orders = control.of_queue("jobs").unwrap();
        let mut reader = Reader::new(store);
        reader.read(&control).await;
        assert!(orders.borrow().is_paused);
        reader.store = Arc::new(Silent);
        reader.read(&control).await;
        assert!(reader.fails && orders.borrow().is_paused);
    }

    /// A store that does not answer.
    struct Silent;

    mod silent {
        use drumline::core::{Claim, ClaimRequest, ClaimResult, MaybeReady, Ownership, ReleaseClaim};
        use drumline::message::Identity;
        use drumline_store::{AttemptRecord, JobRecord, ProgressRecord, Store, StoreError};
        use serde_json::value::RawValue;
        use std::time::Duration;

        type Answer<'a, T> = MaybeReady<'a, Result<T, StoreError>>;

        fn silent<'a, T>() -> Answer<'a, T> {
            MaybeReady::now(Err(StoreError::Unanswered("silent".into())))
        }

        impl Store for super::Silent {
            fn claim<'a>(&'a self, _: &'a ClaimRequest) -> Answer<'a, ClaimResult> {
                silent()
            }
            fn renew<'a>(&'a self, _: &'a Claim, _: Duration) -> Answer<'a, Ownership> {
                silent()
            }
            fn finish<'a>(&'a self, _: &'a Claim, _: Option<&'a RawValue>) -> Answer<'a, Ownership> {
                silent()
            }
            fn release_claim<'a>(&'a self, _: &'a Claim, _: &'a ReleaseClaim) -> Answer<'a, Ownership> {
                silent()
            }
            fn checkpoint<'a>(&'a self, _: &'a Claim, _: &'a RawValue) -> Answer<'a, Ownership> {
                silent()
            }
            fn documents<'a>(&'a self, _: &'a str) -> Answer<'a, Vec<drumline_store::Document>> {
                silent()
            }
            fn progress<'a>(&'a self, _: &'a Identity, _: &'a ProgressRecord) -> Answer<'a, ()> {
                silent()
            }
            fn attempted<'a>(&'a self, _: &'a Identity, _: &'a AttemptRecord) -> Answer<'a, ()> {
                silent()
            }
            fn jobs<'a>(&'a self, _: &'a str) -> Answer<'a, Vec<JobRecord>> {
                silent()
            }
            fn ping(&self) -> Answer<'_, ()> {
                silent()
            }
            fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
                self
            }
        }
    }
}
