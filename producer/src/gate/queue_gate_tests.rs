#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use aws_sdk_sqs::config::BehaviorVersion;
use drumline_runtime::SqsErrorKind;
use tokio::time::{advance, sleep};

use super::*;

/// The value of `Depth` with which SQS does not answer.
const DOWN: u64 = u64::MAX;

/// A queue's depth, set by a test.
#[derive(Clone, Default)]
pub(in crate::gate) struct Depth {
    value: Arc<AtomicU64>,
    asked: Arc<AtomicUsize>,
}

impl Depth {
    pub(in crate::gate) fn at(depth: u64) -> Self {
        let new = Self::default();
        new.set(depth);
        new
    }

    pub(in crate::gate) fn set(&self, depth: u64) {
        self.value.store(depth, Ordering::SeqCst);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn client() -> Client {
    Client::from_conf(aws_sdk_sqs::Config::builder().behavior_version(BehaviorVersion::latest()).build())
}

/// Creates a gate with the thresholds 10 and 100, whose requests take 100 ms.
pub(in crate::gate) fn gate_at(depth: &Depth) -> Gate {
    gate_with(depth, GateLimits::default().depth(10, 100).unwrap())
}

fn gate_with(depth: &Depth, limits: GateLimits) -> Gate {
    let depth = depth.clone();
    let ask: AskDepth = Arc::new(move || {
        let depth = depth.clone();
        Box::pin(async move {
            depth.asked.fetch_add(1, Ordering::SeqCst);
            sleep(Duration::from_millis(100)).await;
            match depth.value.load(Ordering::SeqCst) {
                DOWN => Err(SqsError::new(SqsErrorKind::Unreachable, "no route to SQS")),
                depth => Ok(depth),
            }
        })
    });
    Gate::with(client(), Arc::from("jobs"), ask, limits)
}

#[tokio::test(start_paused = true)]
async fn many_callers_share_a_request_and_a_reading_lasts_5_seconds() {
    let depth = Depth::at(100);
    let gate = gate_at(&depth);
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let gate = gate.clone();
            tokio::spawn(async move { gate.state().await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap().label(), "shed");
    }
    assert_eq!(depth.asked(), 1);
    depth.set(0);
    advance(Duration::from_millis(4_800)).await;
    assert_eq!((gate.state().await.label(), depth.asked()), ("shed", 1));
    advance(Duration::from_millis(300)).await;
    let asking = tokio::spawn({
        let gate = gate.clone();
        async move { gate.state().await }
    });
    tokio::task::yield_now().await;
    assert_eq!(gate.state().await.label(), "shed", "the others do not wait for the one that asks");
    assert_eq!((asking.await.unwrap(), depth.asked()), (GateState::Open, 2));
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_the_last_reading_lasts_for_a_minute() {
    let depth = Depth::at(100);
    let gate = gate_at(&depth);
    assert_eq!(gate.state().await.label(), "shed");
    depth.set(DOWN);
    for _ in 0..9 {
        advance(Duration::from_secs(6)).await;
        assert_eq!(gate.state().await.label(), "shed");
    }
    assert_eq!(depth.asked(), 10, "a request that fails is not repeated at once either");
    advance(Duration::from_secs(6)).await;
    assert_eq!(gate.state().await, GateState::Open, "blind");
    advance(Duration::from_secs(1)).await;
    assert_eq!((gate.state().await, depth.asked()), (GateState::Open, 11));
    depth.set(100);
    advance(Duration::from_secs(6)).await;
    assert_eq!(gate.state().await.label(), "shed");
}

#[tokio::test(start_paused = true)]
async fn a_gate_is_open_without_any_answer_or_without_limits() {
    let depth = Depth::at(DOWN);
    assert_eq!(gate_at(&depth).state().await, GateState::Open);
    assert_eq!(gate_with(&depth, GateLimits::default()).state().await, GateState::Open);
    assert_eq!(depth.asked(), 1, "without limits nothing is asked");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_leaves_the_gate_usable() {
    let depth = Depth::at(100);
    let gate = gate_at(&depth);
    assert!(timeout(Duration::from_millis(10), gate.state()).await.is_err());
    assert_eq!(gate.state().await.label(), "shed");
}

#[tokio::test(start_paused = true)]
async fn the_age_is_asked_for_once_a_minute_and_used_for_five() {
    let (depth, asked) = (Depth::at(1), Arc::new(AtomicUsize::new(0)));
    let limits = GateLimits::default().age(Duration::from_secs(60), Duration::from_secs(600)).unwrap();
    let answers = Arc::new(Mutex::new(Ok(Some(Duration::from_secs(700)))));
    let (counts, says) = (Arc::clone(&asked), Arc::clone(&answers));
    let ask: crate::gate::age::AskAge = Arc::new(move || {
        counts.fetch_add(1, Ordering::SeqCst);
        let answer = says.lock().unwrap().clone();
        Box::pin(async move { answer })
    });
    let gate = gate_with(&depth, limits);
    let gate = Gate { ages: Some(Arc::new(Ages::new(&gate.queue, ask))), ..gate };
    for _ in 0..8 {
        assert_eq!(gate.state().await.label(), "shed");
        advance(Duration::from_secs(7)).await;
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    *answers.lock().unwrap() = Err("throttled".to_owned());
    for _ in 0..34 {
        assert_eq!(gate.state().await.label(), "shed");
        advance(Duration::from_secs(7)).await;
    }
    assert_eq!(asked.load(Ordering::SeqCst), 5);
    advance(Duration::from_secs(20)).await;
    assert_eq!(gate.state().await, GateState::Open, "by depth only");
    depth.set(0);
    *answers.lock().unwrap() = Ok(Some(Duration::from_secs(700)));
    advance(Duration::from_secs(61)).await;
    assert_eq!(gate.state().await, GateState::Open, "an empty queue has no oldest message");
}
