#![allow(clippy::unwrap_used)]
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::BehaviorVersion;
use drumline::Job;
use drumline::core::{Claim, ClaimRequest, ClaimResult, ReleaseClaim};
use drumline::message::Identity;
use drumline_store::outbox::{Conclusion, MemoryOutbox, Outbox as _, Rows};
use drumline_store::{MemoryStore, Retention, Store as _};

use crate::error::ProduceError;
use crate::producer::Producer;
use crate::receipt::{Existing, Receipt};
use crate::send_job::SendJob;
use crate::unique::Unique;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Reindex {
    shop: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl Job for Reindex {
    const TYPE: &'static str = "reindex";
}

/// A producer with an outbox and a store. The test acts as the outbox's relay and clock, and as the store's worker.
struct World {
    outbox: Arc<MemoryOutbox>,
    store: Arc<MemoryStore>,
    producer: Producer,
}

impl World {
    fn new() -> Self {
        let config = aws_sdk_sqs::Config::builder().behavior_version(BehaviorVersion::latest());
        let client = Client::from_conf(config.build());
        let outbox = Arc::new(MemoryOutbox::with_clock(Duration::ZERO, 0));
        let store = Arc::new(MemoryStore::new("worker".into(), Retention::default()));
        let producer = Producer::new(client, "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs");
        let producer = producer.outbox(outbox.clone()).store(store.clone());
        Self { outbox, store, producer }
    }

    fn job(&self, note: &str) -> SendJob {
        self.producer.send(&Reindex { shop: 7, note: Some(note.to_owned()) })
    }

    async fn send(&self, note: &str, unique: &Unique) -> Receipt {
        self.job(note).unique(unique.clone()).await.unwrap()
    }

    /// Takes all due jobs. Returns their notes, and the jobs to conclude.
    async fn take(&self) -> (Vec<String>, Vec<drumline_store::outbox::TakenJob>) {
        let taken = self.outbox.take("relay", 100, MINUTE).await.unwrap();
        let note = |job: &str| serde_json::from_str::<Reindex>(job).unwrap().note.unwrap();
        (taken.iter().map(|taken| note(&taken.job.payload)).collect(), taken)
    }

    /// Sends all due jobs. Returns their notes.
    async fn relay(&self) -> Vec<String> {
        let (notes, taken) = self.take().await;
        self.conclude(taken).await;
        notes
    }

    async fn conclude(&self, taken: Vec<drumline_store::outbox::TakenJob>) {
        let sent = taken.into_iter().map(|job| (job, Conclusion::Sent { message_id: "m".to_owned() }));
        assert_eq!(self.outbox.conclude(&sent.collect::<Vec<_>>()).await.unwrap(), 0);
    }

    async fn claim(&self, job_id: &str) -> Arc<Claim> {
        let identity = Identity::new("scope", "reindex", None, job_id).with_job_id(job_id);
        let request = ClaimRequest {
            identity: Arc::new(identity),
            legacy_key: None,
            payload_hash: 1,
            lock: None,
            length: MINUTE,
            queue: "jobs".into(),
            message_id: "m".into(),
            receive_count: 1,
        };
        match self.store.claim(&request).await.unwrap() {
            ClaimResult::Granted(grant) => grant.claim,
            other => panic!("{other:?}"),
        }
    }

    async fn finish(&self, job_id: &str) {
        let claim = self.claim(job_id).await;
        self.store.finish(&claim, None).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_holds_its_key_until_it_is_done() {
    let (world, unique) = (World::new(), Unique::until_done(HOUR).key("7"));
    let first = world.send("1", &unique).await;
    assert_eq!((first.existing, first.message_id.clone()), (None, None));
    let second = world.send("2", &unique).await;
    assert_eq!((&second.job_id, second.existing), (&first.job_id, Some(Existing::Waiting)));
    assert_eq!(world.relay().await, ["1"]);
    let known = |receipt: Receipt| (receipt.job_id, receipt.existing);
    let sent = (first.job_id.clone(), Some(Existing::Sent));
    assert_eq!(known(world.send("3", &unique).await), sent, "no worker has received it yet");
    let claim = world.claim(&first.job_id).await;
    assert_eq!(known(world.send("4", &unique).await), sent, "it runs");
    world.store.finish(&claim, None).await.unwrap();
    let fifth = world.send("5", &unique).await;
    assert_eq!(fifth.existing, None, "the first one is done");
    assert_ne!(fifth.job_id, first.job_id);
    assert_eq!(known(world.send("6", &unique).await), (fifth.job_id, Some(Existing::Waiting)));
    assert_eq!(world.relay().await, ["5"]);
}

#[tokio::test(start_paused = true)]
async fn a_permanently_failed_job_frees_its_key_and_a_retried_one_not() {
    let ends = |failure_reason: Option<&str>, dead| ReleaseClaim {
        count_attempt: true,
        failure_reason: failure_reason.map(str::to_owned),
        dead,
    };
    for (how, is_held) in
        [(ends(None, false), true), (ends(Some("no such shop"), false), false), (ends(None, true), false)]
    {
        let (world, unique) = (World::new(), Unique::until_done(HOUR).key("7"));
        let first = world.send("1", &unique).await;
        world.relay().await;
        let claim = world.claim(&first.job_id).await;
        world.store.release_claim(&claim, &how).await.unwrap();
        let second = world.send("2", &unique).await;
        assert_eq!(second.existing, is_held.then_some(Existing::Sent), "{how:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_not_known_as_done_holds_its_key_for_its_window() {
    let (world, unique) = (World::new(), Unique::until_done(HOUR).key("7"));
    let first = world.send("1", &unique).await;
    world.relay().await;
    world.outbox.advance(HOUR.saturating_sub(Duration::from_millis(1)));
    assert_eq!(world.send("2", &unique).await.job_id, first.job_id);
    world.outbox.advance(Duration::from_millis(1));
    assert_eq!(world.send("3", &unique).await.existing, None);
}

#[tokio::test(start_paused = true)]
async fn a_job_holds_its_key_for_a_window_even_if_it_is_done() {
    let (world, unique) = (World::new(), Unique::within(HOUR).key("7"));
    let first = world.send("1", &unique).await;
    world.relay().await;
    world.finish(&first.job_id).await;
    let second = world.send("2", &unique).await;
    assert_eq!((&second.job_id, second.existing), (&first.job_id, Some(Existing::Sent)));
    world.outbox.advance(HOUR);
    assert_eq!(world.send("3", &unique).await.existing, None);
    assert_eq!(world.relay().await, ["3"]);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_job_is_replaced_if_that_is_wanted() {
    let (world, unique) = (World::new(), Unique::within(HOUR).key("7").replace());
    let first = world.job("1").delay(10 * MINUTE).unique(unique.clone()).await.unwrap();
    let second = world.job("2").delay(20 * MINUTE).unique(unique.clone()).await.unwrap();
    assert_eq!((&second.job_id, second.existing), (&first.job_id, Some(Existing::Replaced)));
    world.outbox.advance(19 * MINUTE);
    assert_eq!(world.relay().await, [""; 0], "it is due at the second job's time");
    world.outbox.advance(MINUTE);
    let (notes, taken) = world.take().await;
    assert_eq!((notes, &taken[0].job.id), (vec!["2".to_owned()], &first.job_id));
    let third = world.send("3", &unique).await;
    assert_eq!(
        third.existing,
        Some(Existing::Waiting),
        "a relay is sending the second one: it stays as it is"
    );
    world.conclude(taken).await;
    assert_eq!(world.send("4", &unique).await.existing, Some(Existing::Sent));
    assert_eq!(world.relay().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_debounced_job_waits_for_a_quiet_time_and_not_for_ever() {
    let world = World::new();
    let unique = Unique::debounce(Duration::from_secs(10), Duration::from_secs(25)).key("7");
    let first = world.send("1", &unique).await;
    assert!(first.due.is_some());
    for (secs, note) in [(9, "2"), (9, "3")] {
        world.outbox.advance(Duration::from_secs(secs));
        assert_eq!(world.relay().await, [""; 0]);
        let next = world.send(note, &unique).await;
        assert_eq!((&next.job_id, next.existing), (&first.job_id, Some(Existing::Replaced)));
    }
    world.outbox.advance(Duration::from_secs(7));
    assert_eq!(world.relay().await, ["3"], "25 seconds after the first call");
    let next = world.send("4", &unique).await;
    assert_eq!((next.existing, next.job_id == first.job_id), (None, false), "that one was sent");
    world.outbox.advance(Duration::from_secs(10));
    assert_eq!(world.relay().await, ["4"]);
}

#[tokio::test(start_paused = true)]
async fn the_last_debounced_call_counts_while_a_relay_sends_another() {
    let (world, unique) = (World::new(), Unique::debounce(MINUTE, HOUR).key("7"));
    world.send("1", &unique).await;
    world.outbox.advance(MINUTE);
    let (notes, taken) = world.take().await;
    assert_eq!(notes, ["1"]);
    let second = world.send("2", &unique).await;
    assert_eq!(second.existing, None, "the first one may have been sent already");
    assert_eq!(world.send("3", &unique).await.existing, Some(Existing::Replaced));
    world.conclude(taken).await;
    world.outbox.advance(MINUTE);
    assert_eq!(world.relay().await, ["3"]);
}

#[tokio::test(start_paused = true)]
async fn of_many_callers_one_adds_the_job_and_all_others_get_its_id() {
    let (world, unique) = (Arc::new(World::new()), Unique::until_done(HOUR).key("7"));
    for round in 0..20 {
        let calls = (0..50).map(|caller| {
            let (world, unique) = (Arc::clone(&world), unique.clone());
            tokio::spawn(async move { world.send(&format!("{round}-{caller}"), &unique).await })
        });
        let mut receipts = Vec::new();
        for call in calls.collect::<Vec<_>>() {
            receipts.push(call.await.unwrap());
        }
        let new: Vec<&Receipt> = receipts.iter().filter(|receipt| receipt.existing.is_none()).collect();
        let [new] = new[..] else { panic!("{round}: {new:?}") };
        assert!(receipts.iter().all(|receipt| receipt.job_id == new.job_id), "{round}: {receipts:?}");
        assert_eq!(world.relay().await.len(), 1);
        world.finish(&new.job_id).await;
    }
    let rows = world.outbox.rows(&Rows::new(None, 100)).await.unwrap();
    assert!(rows.len() <= 20, "{rows:?}");
}

#[tokio::test(start_paused = true)]
async fn a_key_is_the_jobs_own_or_a_hash_of_its_payload() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Other {
        shop: u64,
    }
    impl Job for Other {
        const TYPE: &'static str = "other";
    }
    let (world, unique) = (World::new(), Unique::within(HOUR));
    let is_new = async |job: SendJob| job.unique(unique.clone()).await.unwrap().existing.is_none();
    assert!(is_new(world.job("1")).await);
    assert!(!is_new(world.job("1")).await, "the same payload");
    assert!(is_new(world.job("2")).await, "another payload");
    assert!(is_new(world.job("1").idempotency_key("k")).await, "the idempotency key comes first");
    assert!(!is_new(world.job("3").idempotency_key("k")).await);
    assert!(is_new(world.producer.send(&Other { shop: 7 }).idempotency_key("k")).await, "another type");
    let explicit = world.job("4").idempotency_key("k").unique(Unique::within(HOUR).key("own"));
    assert_eq!(explicit.await.unwrap().existing, None, "a key that is given comes before all");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_unique_is_refused() {
    let world = World::new();
    let plain = {
        let config = aws_sdk_sqs::Config::builder().behavior_version(BehaviorVersion::latest());
        Producer::new(Client::from_conf(config.build()), "http://127.0.0.1:9/1/jobs")
            .outbox(world.outbox.clone())
    };
    let job = |unique: Unique| world.job("1").unique(unique);
    let (second, zero) = (Duration::from_secs(1), Duration::ZERO);
    let table = [
        (
            plain.send(&Reindex { shop: 7, note: None }).unique(Unique::until_done(HOUR)),
            "set DRUMLINE_STORE_URL to theirs (in code: Producer::store), or let it hold its key for a time (Unique::within)",
        ),
        (job(Unique::within(zero)), "a key is held for some time"),
        (job(Unique::until_done(366 * 25 * HOUR)), "for 366 days at most"),
        (job(Unique::debounce(zero, HOUR)), "0ns and 3600s are no such times"),
        (job(Unique::debounce(HOUR, second)), "not for longer than at most"),
        (job(Unique::within(HOUR).key("")), "the key is empty"),
        (
            job(Unique::within(HOUR).key("k".repeat(1_017))),
            "1025 bytes of type and key are more than the 1024",
        ),
        (job(Unique::until_done(HOUR)).delay(2 * HOUR), "it is due when its key is free again"),
    ];
    for (job, says) in table {
        let Err(ProduceError::Refused(refusal)) = job.await else { panic!("{says}") };
        assert_eq!(refusal.field, "unique", "{refusal}");
        assert!(refusal.reason.contains(says), "{refusal}");
    }
    let rows = world.outbox.rows(&Rows::new(None, 9)).await.unwrap();
    assert_eq!(rows, []);
}
