//! The sender on tokio's paused clock, with requests whose responses the test controls.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::BehaviorVersion;
use drumline_runtime::{BoxFuture, SqsError, SqsErrorKind};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::{Pending, Sender, SenderOptions, TrySendError};
use crate::error::{ProduceError, Unsent};
use crate::pack::{MAX_BATCH_BYTES, Outgoing};
use crate::prepared::Prepared;
use crate::producer::Producer;
use crate::receipt::Receipt;
use crate::requests::Requests;
use crate::send::{NotTaken, Reply, Taken, Why};
use crate::target_queue::TargetQueue;

const LINGER: Duration = Duration::from_millis(20);
const ROUND_TRIP: Duration = Duration::from_millis(10);
const STANDARD: &str = "https://sqs.eu-central-1.amazonaws.com/1/jobs";
const FIFO: &str = "https://sqs.eu-central-1.amazonaws.com/1/jobs.fifo";

/// The response to a request.
enum Fate {
    /// All entries are accepted.
    Taken,
    /// The entries with these bodies fail.
    Except(&'static [&'static str], Why),
    Error(SqsError),
    Hangs,
    Panics,
}

type Script = Box<dyn Fn(usize, &[&str]) -> Fate + Send + Sync>;

struct Fake {
    begun: Instant,
    script: Script,
    /// The time of each request, and its bodies.
    seen: Mutex<Vec<(Duration, Vec<String>)>>,
}

impl Fake {
    fn new(script: impl Fn(usize, &[&str]) -> Fate + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { begun: Instant::now(), script: Box::new(script), seen: Mutex::default() })
    }

    fn seen(&self) -> Vec<(Duration, Vec<String>)> {
        self.seen.lock().unwrap().clone()
    }

    fn bodies(&self) -> Vec<Vec<String>> {
        self.seen().into_iter().map(|(_, bodies)| bodies).collect()
    }
}

impl Requests for Fake {
    fn send(&self, _: TargetQueue, batch: Vec<Outgoing>) -> BoxFuture<(Vec<Outgoing>, Reply)> {
        let bodies: Vec<&str> = batch.iter().map(|message| &*message.body).collect();
        let mut seen = self.seen.lock().unwrap();
        let fate = (self.script)(seen.len(), &bodies);
        seen.push((self.begun.elapsed(), bodies.iter().map(|&body| body.to_owned()).collect()));
        let id = |message: &Outgoing| {
            Ok(Taken { message_id: format!("id-{}", message.body), sequence_number: None })
        };
        let reply: Reply = match fate {
            Fate::Taken => Ok(batch.iter().map(id).collect()),
            Fate::Except(failing, why) => Ok(batch
                .iter()
                .map(|message| {
                    let fails = failing.contains(&&*message.body);
                    if fails { Err(NotTaken { why, text: "made to fail".to_owned() }) } else { id(message) }
                })
                .collect()),
            Fate::Error(error) => Err(error),
            Fate::Hangs => return Box::pin(std::future::pending()),
            Fate::Panics => return Box::pin(async { panic!("a bug") }),
        };
        Box::pin(async move {
            sleep(ROUND_TRIP).await;
            (batch, reply)
        })
    }
}

fn options() -> SenderOptions {
    SenderOptions::default().linger(LINGER)
}

/// Returns a client that is not used.
fn client() -> Client {
    Client::from_conf(aws_sdk_sqs::Config::builder().behavior_version(BehaviorVersion::latest()).build())
}

fn sender(fake: &Arc<Fake>, options: SenderOptions) -> Sender {
    Sender::over(Producer::new(client(), STANDARD), Arc::clone(fake) as Arc<dyn Requests>, options)
}

fn to(url: &str, body: &str) -> Prepared {
    let outgoing = Outgoing { body: body.to_owned(), ..Outgoing::default() };
    Prepared { queue: TargetQueue::new(client(), url.to_owned()), outgoing, wait: None }
}

fn job(body: &str) -> Prepared {
    to(STANDARD, body)
}

fn grouped(body: &str, group: &str) -> Prepared {
    let mut job = to(FIFO, body);
    job.outgoing.group = Some(group.into());
    job.outgoing.deduplication_id = body.to_owned();
    job
}

async fn enqueue(sender: &Sender, body: &str) -> Pending {
    sender.enqueue(job(body)).await.unwrap()
}

/// Sends a job from a separate caller.
fn call(sender: &Sender, body: &str) -> JoinHandle<Result<Receipt, ProduceError>> {
    let (sender, job) = (sender.clone(), job(body));
    tokio::spawn(async move { sender.send_prepared(job).await })
}

fn unsent(reason: &str) -> Unsent {
    Unsent { job_id: String::new(), queue: "jobs".to_owned(), reason: reason.to_owned() }
}

fn is_closed(error: &ProduceError) -> bool {
    *error == ProduceError::Unavailable(unsent("the sender is shut down"))
}

fn lost() -> SqsError {
    SqsError { is_in_doubt: true, ..SqsError::new(SqsErrorKind::Unreachable, "no answer") }
}

#[tokio::test(start_paused = true)]
async fn a_message_waits_until_its_linger_ends_or_a_batch_is_full() {
    let fake = Fake::new(|_, _| Fate::Taken);
    let sender = sender(&fake, options());
    let callers: Vec<_> = (0..13).map(|n| call(&sender, &n.to_string())).collect();
    for (n, caller) in callers.into_iter().enumerate() {
        let receipt = caller.await.unwrap().unwrap();
        assert_eq!((receipt.message_id, &*receipt.queue), (Some(format!("id-{n}")), "jobs"));
    }
    let seen = fake.seen();
    let sizes: Vec<_> = seen.iter().map(|(at, bodies)| (*at, bodies.len())).collect();
    assert_eq!(sizes, [(Duration::ZERO, 10), (LINGER, 3)]);
}

#[tokio::test(start_paused = true)]
async fn without_linger_a_message_leaves_at_once_with_queued_ones() {
    let fake = Fake::new(|_, _| Fate::Taken);
    let sender = sender(&fake, options().linger(Duration::ZERO).max_in_flight(1));
    let first = enqueue(&sender, "a").await;
    tokio::task::yield_now().await;
    let rest = [enqueue(&sender, "b").await, enqueue(&sender, "c").await];
    first.await.unwrap();
    for pending in rest {
        pending.await.unwrap();
    }
    assert_eq!(fake.seen(), [(Duration::ZERO, vec!["a".into()]), (ROUND_TRIP, vec!["b".into(), "c".into()])]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_leaves_before_it_is_larger_than_sqs_takes() {
    let fake = Fake::new(|_, _| Fate::Taken);
    let sender = sender(&fake, options());
    let large = "x".repeat(MAX_BATCH_BYTES / 2);
    let pending =
        [enqueue(&sender, &large).await, enqueue(&sender, &large).await, enqueue(&sender, "y").await];
    for pending in pending {
        pending.await.unwrap();
    }
    let sizes: Vec<_> = fake.seen().iter().map(|(at, bodies)| (*at, bodies.len())).collect();
    assert_eq!(sizes, [(Duration::ZERO, 2), (LINGER, 1)]);

    let refused = sender.send_prepared(job(&"x".repeat(MAX_BATCH_BYTES + 1))).await.unwrap_err();
    assert!(matches!(&refused, ProduceError::Refused(refusal) if refusal.field == "payload"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_full_sender_has_its_callers_wait_in_order() {
    let fake = Fake::new(|_, _| Fate::Taken);
    let sender = sender(&fake, options().linger(Duration::ZERO).capacity(2).max_in_flight(1));
    let held = [enqueue(&sender, "a").await, enqueue(&sender, "b").await];
    let full = sender.try_send(job("c")).unwrap_err();
    assert!(matches!(full, TrySendError::Full(_)), "{full}");
    assert_eq!(full.into_prepared().outgoing.body, "c");
    let waiting: Vec<_> = ["d", "e", "f"].map(|body| call(&sender, body)).into();
    sleep(Duration::from_millis(1)).await;
    assert!(waiting.iter().all(|caller| !caller.is_finished()));
    for pending in held {
        pending.await.unwrap();
    }
    for caller in waiting {
        caller.await.unwrap().unwrap();
    }
    let order: Vec<String> = fake.bodies().concat();
    assert_eq!(order, ["a", "b", "d", "e", "f"]);
    assert!(sender.try_send(job("g")).is_ok(), "its places are free again");
}

#[tokio::test(start_paused = true)]
async fn bytes_are_bounded_too() {
    let fake = Fake::new(|_, _| Fate::Taken);
    let sender = sender(&fake, options().capacity_bytes(0));
    let first = enqueue(&sender, &"x".repeat(MAX_BATCH_BYTES - 1)).await;
    let small = sender.try_send(job("yy")).unwrap_err();
    assert!(matches!(small, TrySendError::Full(_)), "at least one of the largest fits, and no more");
    first.await.unwrap();
    assert!(sender.try_send(job("yy")).is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_fails_is_tried_again_and_holds_up_no_other() {
    let fake = Fake::new(|n, _| if n < 2 { Fate::Except(&["bad"], Why::Unavailable) } else { Fate::Taken });
    let sender = sender(&fake, options().max_in_flight(1));
    let (bad, good) = (call(&sender, "bad"), call(&sender, "good"));
    good.await.unwrap().unwrap();
    let at = fake.begun.elapsed();
    assert_eq!(at, LINGER + ROUND_TRIP);
    let later = call(&sender, "later").await.unwrap().unwrap();
    assert_eq!(
        (later.message_id.as_deref(), fake.begun.elapsed()),
        (Some("id-later"), at + LINGER + ROUND_TRIP)
    );
    assert_eq!(bad.await.unwrap().unwrap().message_id.unwrap(), "id-bad");
    let bad = "bad".to_owned();
    let tries = fake.bodies().iter().filter(|bodies| bodies.contains(&bad)).count();
    assert!(tries >= 2, "{:?}", fake.bodies());
}

#[tokio::test(start_paused = true)]
async fn each_caller_gets_the_failure_of_its_own_message() {
    let fake = Fake::new(|_, _| Fate::Except(&["refused", "failing"], Why::Refused));
    let sender = sender(&fake, options());
    let callers = ["refused", "good"].map(|body| call(&sender, body));
    let [refused, good] = callers.map(|caller| async move { caller.await.unwrap() });
    assert_eq!(refused.await, Err(ProduceError::RefusedBySqs(unsent("made to fail"))));
    assert_eq!(good.await.unwrap().message_id.unwrap(), "id-good");
    assert_eq!(fake.bodies().len(), 1, "what is refused is not tried again");

    let fake = Fake::new(|_, _| Fate::Except(&["failing"], Why::Unavailable));
    let sender = super::tests::sender(&fake, options());
    let failing = async { call(&sender, "failing").await.unwrap() };
    assert_eq!(failing.await, Err(ProduceError::Unavailable(unsent("made to fail"))));
    assert_eq!(fake.bodies().len(), 5, "tried five times in all");
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_is_split_so_that_one_message_fails_alone() {
    let fake = Fake::new(|_, bodies| {
        if bodies.contains(&"bad") {
            Fate::Error(SqsError::new(SqsErrorKind::Other, "InvalidParameterValue"))
        } else {
            Fate::Taken
        }
    });
    let sender = sender(&fake, options());
    let callers = ["a", "bad", "c"].map(|body| call(&sender, body));
    let mut results = Vec::new();
    for caller in callers {
        results.push(caller.await.unwrap().map(|receipt| receipt.message_id.unwrap()));
    }
    let refused = Err(ProduceError::RefusedBySqs(unsent("InvalidParameterValue")));
    assert_eq!(results, [Ok("id-a".to_owned()), refused, Ok("id-c".to_owned())]);
    assert_eq!(fake.bodies().len(), 4, "all, then each alone");
}

#[tokio::test(start_paused = true)]
async fn a_message_without_answer_is_resent_and_then_in_doubt() {
    let fake = Fake::new(|n, _| if n < 2 { Fate::Error(lost()) } else { Fate::Taken });
    let sender = sender(&fake, options());
    assert_eq!(call(&sender, "a").await.unwrap().unwrap().message_id.unwrap(), "id-a");
    assert_eq!(fake.bodies().len(), 3);

    let throttled = || Fate::Error(SqsError::new(SqsErrorKind::Throttled, "RequestThrottled"));
    let fake = Fake::new(move |n, _| if n == 0 { Fate::Error(lost()) } else { throttled() });
    let sender = super::tests::sender(&fake, options());
    let failure = call(&sender, "a").await.unwrap().unwrap_err();
    assert_eq!(failure, ProduceError::InDoubt(unsent("RequestThrottled")), "the first try may have sent it");
    assert_eq!(fake.bodies().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_fifo_group_keeps_its_order_when_its_first_message_fails() {
    let fake =
        Fake::new(|n, _| if n < 2 { Fate::Except(&["a1", "a2"], Why::Unavailable) } else { Fate::Taken });
    let sender = sender(&fake, options());
    let mut pending = Vec::new();
    for (body, group) in [("a1", "a"), ("a2", "a"), ("b1", "b"), ("b2", "b")] {
        pending.push(sender.enqueue(grouped(body, group)).await.unwrap());
    }
    for pending in pending {
        pending.await.unwrap();
    }
    let bodies = fake.bodies();
    assert_eq!(bodies[..2], [vec!["a1".to_owned(), "b1".into()], vec!["b2".into()]], "b does not wait for a");
    assert_eq!(bodies.concat().last().unwrap(), "a2");

    let refused = sender.send_prepared(to(FIFO, "x")).await.unwrap_err();
    assert!(matches!(&refused, ProduceError::Refused(refusal) if refusal.field == "group"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_does_not_answer_holds_up_no_other_queue() {
    let fake = Fake::new(|_, bodies| if bodies == ["stuck"] { Fate::Hangs } else { Fate::Taken });
    let sender = sender(&fake, options().max_in_flight(1));
    let other = "https://sqs.eu-central-1.amazonaws.com/1/other";
    let _stuck = sender.enqueue(to(other, "stuck")).await.unwrap();
    call(&sender, "a").await.unwrap().unwrap();
    assert!(timeout(Duration::from_secs(3600), sender.flush()).await.is_err(), "it has no answer");
}

#[tokio::test(start_paused = true)]
async fn a_flush_ends_the_linger_and_waits_for_earlier_messages() {
    let fake = Fake::new(|n, _| if n == 0 { Fate::Taken } else { Fate::Hangs });
    let sender = sender(&fake, options());
    sender.flush().await;
    let before = enqueue(&sender, "before").await;
    let flushing = tokio::spawn({
        let sender = sender.clone();
        async move { sender.flush().await }
    });
    tokio::task::yield_now().await;
    let _after = enqueue(&sender, "after").await;
    flushing.await.unwrap();
    assert_eq!(fake.begun.elapsed(), ROUND_TRIP);
    assert!(timeout(Duration::ZERO, before).await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_shut_down_sender_sends_only_what_it_has_accepted() {
    let fake = Fake::new(|n, _| if n == 0 { Fate::Except(&["a"], Why::Unavailable) } else { Fate::Taken });
    let sender = sender(&fake, options().capacity(2));
    let accepted = [enqueue(&sender, "a").await, enqueue(&sender, "b").await];
    let waiting = call(&sender, "too late");
    tokio::task::yield_now().await;
    let later = async {
        sleep(Duration::from_millis(1)).await;
        sender.shutdown().await;
        fake.begun.elapsed()
    };
    let ((), ended_at) = tokio::join!(sender.shutdown(), later);
    assert!(ended_at > Duration::from_millis(500), "a second one waits as well");
    assert!(is_closed(&waiting.await.unwrap().unwrap_err()));
    for pending in accepted {
        assert!(timeout(Duration::ZERO, pending).await.unwrap().is_ok(), "also the one that failed at first");
    }
    let closed = sender.try_send(job("c")).unwrap_err();
    assert!(matches!(closed, TrySendError::Failed(_, error) if is_closed(&error)));
    assert!(is_closed(&call(&sender, "d").await.unwrap().unwrap_err()));
    sender.flush().await;
    sender.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn accepted_messages_are_sent_without_caller_and_handle() {
    let fake = Fake::new(|_, _| Fate::Taken);
    let sender = sender(&fake, options());
    drop(enqueue(&sender, "no caller").await);
    let pending = enqueue(&sender, "no handle").await;
    drop(sender);
    assert!(pending.await.is_ok());
    assert_eq!(fake.bodies(), [["no caller", "no handle"]]);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_request_leaves_its_messages_in_doubt() {
    let fake = Fake::new(|n, _| if n == 0 { Fate::Panics } else { Fate::Taken });
    let sender = sender(&fake, options());
    let failures = ["a", "b"].map(|body| call(&sender, body));
    for caller in failures {
        assert!(matches!(caller.await.unwrap(), Err(ProduceError::InDoubt(_))));
    }
    assert!(call(&sender, "c").await.unwrap().is_ok());
}

#[test]
fn callers_outlive_the_runtime_of_the_sender() {
    let on_its_own = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (sender, sent, held) = on_its_own.block_on(async {
        let fake = Fake::new(|_, _| Fate::Hangs);
        let sender = sender(&fake, options().linger(Duration::from_secs(1)));
        let sent = enqueue(&sender, "sent").await;
        let flushing = timeout(Duration::from_millis(20), sender.flush());
        assert!(flushing.await.is_err());
        let held = enqueue(&sender, "held").await;
        (sender, sent, held)
    });
    drop(on_its_own);
    let callers = tokio::runtime::Builder::new_current_thread().build().unwrap();
    callers.block_on(async {
        assert!(matches!(sent.await, Err(ProduceError::InDoubt(_))));
        assert!(matches!(held.await, Err(ProduceError::Unavailable(_))));
        assert!(is_closed(&call(&sender, "x").await.unwrap().unwrap_err()));
        sender.flush().await;
        sender.shutdown().await;
    });
}
