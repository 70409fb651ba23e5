//! Relays under any script: no job is lost, groups keep their order, no job leaves under an ended lease, and only jobs that can
//! never be sent are parked.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::BehaviorVersion;
use drumline::core::MaybeReady;
use drumline_runtime::{BoxFuture, SqsError, SqsErrorKind};
use drumline_store::StoreError;
use drumline_store::outbox::{
    Added, Answer, Conclusion, Due, Lag, Lease, MemoryOutbox, Outbox, OutboxJob, OutboxRow, RowState, Rows,
    TakenJob, Unique,
};
use proptest::prelude::*;
use tokio::time::{Instant, sleep, timeout};

use super::relay::Relay;
use super::scripted_sqs::{Fate, ScriptedSqs};
use crate::pack::Outgoing;
use crate::producer::Producer;
use crate::requests::Requests;
use crate::send::{Reply, Why};
use crate::target_queue::TargetQueue;

const JOBS: &str = "https://sqs.eu-central-1.amazonaws.com/1/jobs";
const FIFO: &str = "https://sqs.eu-central-1.amazonaws.com/1/orders.fifo";
const LEASE: Duration = Duration::from_secs(10);

/// A job of the script.
#[derive(Debug, Clone)]
struct Scripted {
    /// `None` for the standard queue.
    group: Option<u8>,
    /// True if SQS always refuses it.
    is_poison: bool,
    due_secs: u64,
    added_after_ms: u64,
}

/// SQS's response to a request without a refused job.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Taken,
    /// The entries with these bits fail.
    Fail(u16),
    /// The response omits these entries.
    Forget(u16),
    Throttled,
    Denied,
    Lost,
    LostBefore,
    Hangs,
}

/// The disturbances of an outbox's server: the durations of calls before and after they have effect, and which calls get no
/// answer.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    before_ms: u64,
    after_ms: u64,
    /// True if the call has effect but its answer is lost.
    is_lost: bool,
}

/// The leases in the outbox: the relay and the end of each job's lease.
type Leases = Arc<Mutex<HashMap<String, (String, Instant)>>>;

/// A slow outbox that loses answers.
struct Troubled {
    inner: Arc<MemoryOutbox>,
    leases: Leases,
    troubles: Mutex<Vec<Trouble>>,
}

impl Troubled {
    /// Makes a call that has effect in the middle of its duration.
    async fn call<T>(&self, call: impl AsyncFnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let trouble = self.troubles.lock().unwrap().pop();
        let Some(Trouble { before_ms, after_ms, is_lost }) = trouble else { return call().await };
        sleep(Duration::from_millis(before_ms)).await;
        let answer = call().await;
        sleep(Duration::from_millis(after_ms)).await;
        if is_lost { Err(StoreError::Unanswered("lost".into())) } else { answer }
    }
}

impl Outbox for Troubled {
    fn take<'a>(&'a self, relay: &'a str, max: usize, length: Duration) -> Answer<'a, Vec<TakenJob>> {
        MaybeReady::later(self.call(async move || {
            let taken = self.inner.take(relay, max, length).await?;
            let mut leases = self.leases.lock().unwrap();
            for job in &taken {
                leases.insert(job.job.id.clone(), (relay.to_owned(), Instant::now() + length));
            }
            Ok(taken)
        }))
    }

    fn conclude<'a>(&'a self, concluded: &'a [(TakenJob, Conclusion)]) -> Answer<'a, usize> {
        MaybeReady::later(self.call(async move || self.inner.conclude(concluded).await))
    }

    fn leave<'a>(&'a self, relay: &'a str) -> Answer<'a, ()> {
        self.inner.leave(relay)
    }

    fn wait(&self, longest: Duration) -> MaybeReady<'_, ()> {
        self.inner.wait(longest)
    }

    fn add<'a>(&'a self, jobs: &'a [OutboxJob]) -> Answer<'a, ()> {
        self.inner.add(jobs)
    }

    fn add_unique<'a>(&'a self, job: &'a OutboxJob, unique: &'a Unique) -> Answer<'a, Added> {
        self.inner.add_unique(job, unique)
    }

    fn lag(&self) -> Answer<'_, Lag> {
        self.inner.lag()
    }

    fn rows<'a>(&'a self, rows: &'a Rows) -> Answer<'a, Vec<OutboxRow>> {
        self.inner.rows(rows)
    }

    fn retry<'a>(&'a self, ids: &'a [String]) -> Answer<'a, usize> {
        self.inner.retry(ids)
    }

    fn remove<'a>(&'a self, ids: &'a [String]) -> Answer<'a, usize> {
        self.inner.remove(ids)
    }

    fn states(&self) -> Answer<'_, Vec<(String, String)>> {
        self.inner.states()
    }

    fn change<'a>(
        &'a self,
        name: &'a str,
        before: Option<&'a str>,
        after: Option<&'a str>,
        jobs: &'a [OutboxJob],
    ) -> Answer<'a, bool> {
        self.inner.change(name, before, after, jobs)
    }

    fn lead<'a>(&'a self, name: &'a str, owner: &'a str, length: Duration) -> Answer<'a, Option<Lease>> {
        self.inner.lead(name, owner, length)
    }

    fn now_ms(&self) -> Answer<'_, i64> {
        self.inner.now_ms()
    }
}

/// The connection of one relay to SQS. It checks the relay's leases.
struct Watched {
    relay: String,
    leases: Leases,
    sqs: Arc<ScriptedSqs>,
    broken: Arc<Mutex<Vec<String>>>,
}

impl Requests for Watched {
    fn send(&self, queue: TargetQueue, batch: Vec<Outgoing>) -> BoxFuture<(Vec<Outgoing>, Reply)> {
        let now = Instant::now();
        for message in &batch {
            let id = &message.deduplication_id;
            let lease = self.leases.lock().unwrap().get(id).cloned();
            if !lease.clone().is_some_and(|(relay, ends)| relay == self.relay && now < ends) {
                let text = format!("{} sends {id} at {now:?} under {lease:?}", self.relay);
                self.broken.lock().unwrap().push(text);
            }
        }
        self.sqs.send(queue, batch)
    }
}

fn fate(turn: Turn, ids: &[&str]) -> Fate {
    let poison: Vec<String> =
        ids.iter().filter(|id| id.contains("poison")).map(|&id| id.to_owned()).collect();
    if ids.len() > 1 && poison.len() > 1 {
        let text = "SendMessageBatch: InvalidMessageContents: one is refused";
        return Fate::Error(SqsError::new(SqsErrorKind::Other, text));
    }
    if !poison.is_empty() {
        return Fate::Except(poison, Why::Refused, "InvalidMessageContents: refused");
    }
    let of = |bits: u16| {
        let chosen = ids.iter().enumerate().filter(|(place, _)| bits >> (place % 16) & 1 == 1);
        chosen.map(|(_, &id)| id.to_owned()).collect::<Vec<_>>()
    };
    match turn {
        Turn::Taken => Fate::Taken,
        Turn::Fail(bits) => Fate::Except(of(bits), Why::Unavailable, "InternalError: try again"),
        Turn::Forget(bits) => Fate::Except(of(bits), Why::InDoubt, "not mentioned"),
        Turn::Throttled => Fate::Error(SqsError::new(SqsErrorKind::Throttled, "throttled")),
        Turn::Denied => Fate::Error(SqsError::new(SqsErrorKind::Denied, "AccessDenied")),
        Turn::Lost => Fate::Lost,
        Turn::LostBefore => Fate::LostBefore,
        Turn::Hangs => Fate::Hangs,
    }
}

fn scripted() -> impl Strategy<Value = Scripted> {
    let group = prop_oneof![1 => Just(None), 3 => (0u8..4).prop_map(Some)];
    let due = prop_oneof![4 => Just(0u64), 1 => 0u64..30];
    (group, prop::bool::weighted(0.08), due, prop_oneof![3 => Just(0u64), 1 => 0u64..4_000]).prop_map(
        |(group, is_poison, due_secs, added_after_ms)| Scripted {
            group,
            is_poison,
            due_secs,
            added_after_ms,
        },
    )
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        6 => Just(Turn::Taken),
        3 => any::<u16>().prop_map(Turn::Fail),
        1 => any::<u16>().prop_map(Turn::Forget),
        2 => Just(Turn::Throttled),
        1 => Just(Turn::Denied),
        1 => Just(Turn::Lost),
        1 => Just(Turn::LostBefore),
        1 => Just(Turn::Hangs),
    ]
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let time = || prop_oneof![4 => 0u64..20, 1 => 0u64..9_000];
    (time(), time(), prop::bool::weighted(0.1)).prop_map(|(before_ms, after_ms, is_lost)| Trouble {
        before_ms,
        after_ms,
        is_lost,
    })
}

fn job(index: usize, of: &Scripted) -> OutboxJob {
    let poison = if of.is_poison { "-poison" } else { "" };
    let job_type = if of.group.is_some() { "order" } else { "work" };
    let mut job = OutboxJob::new(format!("{index:03}{poison}"), job_type, "{}");
    job.group = of.group.map(|group| format!("g{group}"));
    if of.due_secs > 0 {
        job.due = Due::After(Duration::from_secs(of.due_secs));
    }
    job
}

/// Runs two relays with the script, one of which is killed and restarted, until all disturbances are over.
async fn run(jobs: Vec<Scripted>, turns: Vec<Turn>, troubles: Vec<Trouble>, killed_after_ms: u64) {
    let inner = Arc::new(MemoryOutbox::with_clock(Duration::from_secs(86_400), 1_700_000_000_000));
    let (leases, broken) = (Leases::default(), Arc::new(Mutex::new(Vec::new())));
    let sqs = ScriptedSqs::new(move |request, _, ids| {
        fate(turns.get(request).copied().unwrap_or(Turn::Taken), ids)
    });
    let outbox: Arc<dyn Outbox> = Arc::new(Troubled {
        inner: Arc::clone(&inner),
        leases: Arc::clone(&leases),
        troubles: Mutex::new(troubles),
    });
    let relay = |name: &str| {
        let config = aws_sdk_sqs::Config::builder().behavior_version(BehaviorVersion::latest());
        let producer = Producer::new(Client::from_conf(config.build()), JOBS).queue_for("order", FIFO);
        let requests = Watched {
            relay: name.to_owned(),
            leases: Arc::clone(&leases),
            sqs: Arc::clone(&sqs),
            broken: Arc::clone(&broken),
        };
        let relay = Relay::new(Arc::clone(&outbox), producer).over(Arc::new(requests));
        relay.named(name).lease(LEASE).batch(10)
    };
    let stop = || sleep(Duration::from_secs(1_200));
    let first = tokio::spawn(relay("first").run(stop()));
    let second = relay("second").run(std::future::pending());
    let second = tokio::spawn(async move {
        let _ = timeout(Duration::from_millis(killed_after_ms), second).await;
    });
    let adding = async {
        let mut later: Vec<(usize, &Scripted)> = jobs.iter().enumerate().collect();
        later.sort_by_key(|(_, of)| of.added_after_ms);
        for (index, of) in later {
            sleep(Duration::from_millis(of.added_after_ms).saturating_sub(sqs_time(&sqs))).await;
            inner.add(&[job(index, of)]).await.unwrap();
        }
    };
    adding.await;
    second.await.unwrap();
    relay("third").run(stop()).await;
    first.await.unwrap();

    assert_eq!(*broken.lock().unwrap(), Vec::<String>::new());
    let all = inner.rows(&Rows::new(None, 10_000)).await.unwrap();
    let ids_of = |state| {
        all.iter().filter(|row| row.state == state).map(|row| row.job.id.clone()).collect::<BTreeSet<_>>()
    };
    let poison = |is: bool| {
        let of_kind = jobs.iter().enumerate().filter(|(_, of)| of.is_poison == is);
        of_kind.map(|(index, of)| job(index, of).id).collect::<BTreeSet<_>>()
    };
    assert_eq!(ids_of(RowState::Waiting), BTreeSet::new());
    assert_eq!((ids_of(RowState::Sent), ids_of(RowState::Parked)), (poison(false), poison(true)));
    assert!(all.iter().all(|row| row.state != RowState::Parked || row.reason.is_some()));
    let taken: BTreeSet<String> =
        [sqs.taken("jobs"), sqs.taken("orders.fifo")].concat().into_iter().collect();
    assert_eq!(taken, poison(false), "all were sent");
    // Jobs that are due later get their positions later, so only jobs that are due immediately have an order from the
    // beginning.
    let order: BTreeMap<&str, usize> =
        all.iter().enumerate().map(|(place, row)| (&*row.job.id, place)).collect();
    let mut seen = BTreeSet::new();
    let mut last: HashMap<String, usize> = HashMap::new();
    for id in sqs.taken("orders.fifo") {
        let row = all.iter().find(|row| row.job.id == id).unwrap();
        if seen.insert(id.clone()) && row.job.due == Due::Now {
            let place = order[&*id];
            if let Some(before) = last.insert(row.job.group.clone().unwrap(), place) {
                assert!(
                    before < place,
                    "{id} came after a later one of its group: {:?}",
                    sqs.taken("orders.fifo")
                );
            }
        }
    }
}

fn sqs_time(sqs: &ScriptedSqs) -> Duration {
    sqs.begun.elapsed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_reordered_or_sent_without_a_lease(
        jobs in prop::collection::vec(scripted(), 1..60),
        turns in prop::collection::vec(turn(), 0..60),
        troubles in prop::collection::vec(trouble(), 0..40),
        killed_after_ms in 0u64..20_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(run(jobs, turns, troubles, killed_after_ms));
    }
}
