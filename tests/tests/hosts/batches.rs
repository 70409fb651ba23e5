//! Batch handlers in both hosts: the items of each batch, and their outcomes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline::batch::{BatchContext, BatchOptions, BatchResult, Item, Rest};
use drumline::core::CancelReason;
use drumline::message::Intake;
use drumline::run::NoopObserver;
use drumline::{Failure, Job, Router};
use drumline_tests::ModelQueue;
use tokio::time::{Instant, sleep};

use crate::function::TestFunction;
use crate::parity::{Script, Turn, Turns, VISIBILITY, Work, change, same_in_both};
use crate::running::{Consumer, in_memory};

#[derive(serde::Deserialize)]
struct Row {
    number: usize,
}

impl Job for Row {
    const TYPE: &'static str = "row";
}

/// The batches of a test, in the order of their starts.
type Seen = Arc<Mutex<Vec<Vec<usize>>>>;

fn send_rows(queue: &ModelQueue, rows: impl IntoIterator<Item = usize>) -> Vec<String> {
    let body = |number| format!(r#"{{"type":"row","payload":{{"number":{number}}}}}"#);
    rows.into_iter().map(|number| queue.send(&body(number), None)).collect()
}

/// Returns a handler that takes one second for each batch.
fn slow(options: BatchOptions, seen: &Seen) -> Router {
    let seen = Arc::clone(seen);
    Router::new().handle_batch(options, move |_: BatchContext, items: Vec<Item<Row>>| {
        seen.lock().unwrap().push(items.iter().map(|item| item.job.number).collect());
        async {
            sleep(Duration::from_secs(1)).await;
            Ok(Rest::Done)
        }
    })
}

#[tokio::test(start_paused = true)]
async fn rows_are_taken_together_and_all_are_done() {
    let queue = ModelQueue::new("jobs", VISIBILITY, 3);
    send_rows(&queue, 0..250);
    let seen = Seen::default();
    let consumer = Consumer::start(&queue, slow(BatchOptions::new(), &seen), |policy| {
        change(policy);
        policy.concurrency = 250.try_into().unwrap();
    });
    queue.drained().await;
    consumer.stop().await;
    let sizes: Vec<usize> = seen.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 250, "each once: {sizes:?}");
    assert_eq!(sizes, [100, 100, 50]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_takes_the_slots_that_there_are() {
    let queue = ModelQueue::new("jobs", VISIBILITY, 3);
    send_rows(&queue, 0..64);
    let seen = Seen::default();
    // It would time out if the batch waited for more messages than can arrive.
    let options = BatchOptions::new().linger(Duration::from_secs(20));
    let consumer = Consumer::start(&queue, slow(options, &seen), |policy| {
        change(policy);
        policy.concurrency = 32.try_into().unwrap();
    });
    let begun = Instant::now();
    queue.drained().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    consumer.stop().await;
    let sizes: Vec<usize> = seen.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(sizes, [32, 32]);
}

#[tokio::test(start_paused = true)]
async fn the_linger_bounds_the_wait_for_more() {
    let queue = ModelQueue::new("jobs", VISIBILITY, 3);
    send_rows(&queue, 0..10);
    let seen = Seen::default();
    let options = BatchOptions::new().linger(Duration::from_secs(2));
    let consumer = Consumer::start(&queue, slow(options, &seen), change);
    let begun = Instant::now();
    queue.drained().await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(3) && took < Duration::from_secs(4), "{took:?}");
    consumer.stop().await;
    assert_eq!(seen.lock().unwrap().iter().map(Vec::len).collect::<Vec<_>>(), [10]);
}

/// Settles rows by their numbers: every third is rejected, every third is not settled at first, and the others are done.
async fn picky(_: BatchContext, items: Vec<Item<Row>>) -> BatchResult {
    for item in &items {
        match item.job.number % 3 {
            0 => item.done(),
            1 => item.failed(Failure::reject("never")),
            _ if item.context.attempt().get() == 2 => item.done(),
            _ => {}
        }
    }
    Ok(Rest::Retry)
}

#[tokio::test(start_paused = true)]
async fn each_row_has_its_own_outcome() {
    let queue = ModelQueue::new("jobs", VISIBILITY, 3);
    let ids = send_rows(&queue, 0..12);
    let router = Router::new().handle_batch(BatchOptions::new(), picky);
    let consumer = Consumer::start(&queue, router, change);
    queue.drained().await;
    consumer.stop().await;
    let dead: Vec<String> = queue.dead().iter().map(|message| message.message_id.to_string()).collect();
    let rejected = ids.iter().skip(1).step_by(3);
    assert_eq!(dead.len(), 4);
    assert!(rejected.into_iter().all(|id| dead.contains(id)), "{dead:?}");
}

/// Gives each item of a batch the next turn of its message. The handler does not settle an item whose turn is a panic: its own
/// panic would be that of every item in the batch, and the items of a batch differ between the hosts.
fn by_turns(script: &Script) -> Router {
    let turns = Turns::of(script);
    Router::new().handle_batch(BatchOptions::new(), move |_: BatchContext, items: Vec<Item<Work>>| {
        let turns: Vec<Turn> = items.iter().map(|item| turns.next(&item.job)).collect();
        async move {
            let mut longest = 0;
            for (item, turn) in items.iter().zip(turns) {
                match turn {
                    Turn::Done => item.done(),
                    Turn::DoneAfter(secs) => {
                        longest = longest.max(secs);
                        item.done();
                    }
                    Turn::Retry => item.failed("again"),
                    Turn::RetryAfter(secs) => {
                        item.failed(Failure::retry_after(Duration::from_secs(secs), "later"));
                    }
                    Turn::Hang => item.failed(Failure::retry_after(Duration::from_secs(3), "later")),
                    Turn::Reject => item.failed(Failure::reject("never")),
                    Turn::Panic => {}
                }
            }
            sleep(Duration::from_secs(longest)).await;
            Ok(Rest::Retry)
        }
    })
}

#[test]
fn the_items_of_batches_fare_the_same_in_both_hosts() {
    same_in_both("jobs", 200, by_turns);
}

#[test]
fn batch_items_have_equal_outcomes_in_both_hosts_on_fifo_queues() {
    same_in_both("jobs.fifo", 200, by_turns);
}

#[tokio::test(start_paused = true)]
async fn a_functions_batch_has_exactly_its_invocations_messages() {
    let queue = ModelQueue::new("jobs", VISIBILITY, 3);
    send_rows(&queue, 0..10);
    let seen = Seen::default();
    // Longer than the invocation may take.
    let options = BatchOptions::new().linger(Duration::from_secs(3600));
    let function = TestFunction {
        queue: queue.clone(),
        router: slow(options, &seen),
        change,
        observer: Arc::new(NoopObserver),
        claim_store: in_memory(),
        intake: Intake::new("arn:test"),
    };
    let responses = function.until_drained().await;
    assert_eq!(responses.len(), 1);
    assert!(responses[0].ended < Duration::from_secs(2), "{responses:?}");
    assert_eq!(seen.lock().unwrap().iter().map(Vec::len).collect::<Vec<_>>(), [10]);
}

#[tokio::test(start_paused = true)]
async fn a_fifo_batch_has_one_message_of_each_group_in_order() {
    let queue = ModelQueue::new("jobs.fifo", VISIBILITY, 60);
    for number in 0..12 {
        let body = format!(r#"{{"type":"row","payload":{{"number":{number}}}}}"#);
        queue.send(&body, Some(&format!("g{}", number % 3)));
    }
    let seen = Seen::default();
    let batches = Arc::clone(&seen);
    let router =
        Router::new().handle_batch(BatchOptions::new(), move |_: BatchContext, items: Vec<Item<Row>>| {
            batches.lock().unwrap().push(items.iter().map(|item| item.job.number).collect());
            async move {
                // The fourth message, which is the second of its group, fails once.
                for item in
                    items.iter().filter(|item| item.job.number == 3 && item.context.attempt().get() == 1)
                {
                    item.failed("not yet");
                }
                Ok(Rest::Done)
            }
        });
    let consumer = Consumer::start(&queue, router, change);
    queue.drained().await;
    consumer.stop().await;
    let batches = seen.lock().unwrap();
    for batch in &*batches {
        let mut groups: Vec<usize> = batch.iter().map(|number| number % 3).collect();
        groups.sort_unstable();
        groups.dedup();
        assert_eq!(groups.len(), batch.len(), "one of each group: {batches:?}");
    }
    let of_group = |group| batches.iter().flatten().copied().filter(move |number| number % 3 == group);
    assert_eq!(of_group(0).collect::<Vec<_>>(), [0, 3, 3, 6, 9], "what failed holds its group up");
    assert_eq!(of_group(1).collect::<Vec<_>>(), [1, 4, 7, 10]);
    assert_eq!(of_group(2).collect::<Vec<_>>(), [2, 5, 8, 11]);
}

/// Returns a handler that, at the first attempt, is done with even rows and then ends in some way. At the second attempt it is
/// done with all.
fn half<F>(seen: &Seen, end: fn() -> F) -> Router
where
    F: Future<Output = BatchResult> + Send + 'static,
{
    let seen = Arc::clone(seen);
    Router::new().handle_batch(BatchOptions::new(), move |_: BatchContext, items: Vec<Item<Row>>| {
        seen.lock().unwrap().push(items.iter().map(|item| item.job.number).collect());
        async move {
            if items.iter().any(|item| item.context.attempt().get() > 1) {
                return Ok(Rest::Done);
            }
            items.iter().filter(|item| item.job.number.is_multiple_of(2)).for_each(Item::done);
            end().await
        }
    })
}

/// Expects that the odd rows run at the second attempt.
async fn odd_rows_run_again<F>(end: fn() -> F)
where
    F: Future<Output = BatchResult> + Send + 'static,
{
    let queue = ModelQueue::new("jobs", VISIBILITY, 3);
    send_rows(&queue, 0..8);
    let seen = Seen::default();
    let consumer = Consumer::start(&queue, half(&seen, end), change);
    queue.drained().await;
    consumer.stop().await;
    assert!(queue.dead().is_empty());
    let mut again: Vec<usize> = seen.lock().unwrap().iter().skip(1).flatten().copied().collect();
    again.sort_unstable();
    assert_eq!((seen.lock().unwrap()[0].len(), again), (8, vec![1, 3, 5, 7]));
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_the_rows_that_are_not_settled() {
    odd_rows_run_again(|| async { panic!("on purpose") }).await;
}

#[tokio::test(start_paused = true)]
async fn an_error_fails_the_rows_that_are_not_settled() {
    odd_rows_run_again(|| async { Err("no connection")? }).await;
}

#[tokio::test(start_paused = true)]
async fn a_time_out_fails_the_rows_that_are_not_settled() {
    odd_rows_run_again(std::future::pending::<BatchResult>).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_is_told_to_the_item_and_its_job_runs_again() {
    let lease = Duration::from_secs(30);
    let queue = ModelQueue::new("jobs", lease, 9);
    // No renewal succeeds until the leases have ended.
    queue.failing_renewals.store(usize::MAX, std::sync::atomic::Ordering::SeqCst);
    send_rows(&queue, 0..4);
    let seen = Seen::default();
    let (batches, renewals) = (Arc::clone(&seen), Arc::clone(&queue.failing_renewals));
    let router =
        Router::new().handle_batch(BatchOptions::new(), move |ctx: BatchContext, items: Vec<Item<Row>>| {
            batches.lock().unwrap().push(items.iter().map(|item| item.job.number).collect());
            let renewals = Arc::clone(&renewals);
            async move {
                if items.iter().all(|item| item.context.message().receive_count == 1) {
                    ctx.cancelled().await;
                    let lost =
                        |item: &Item<Row>| item.context.cancel_reason() == Some(CancelReason::LeaseLost);
                    assert!(ctx.is_cancelled() && items.iter().all(lost));
                    renewals.store(0, std::sync::atomic::Ordering::SeqCst);
                }
                Ok(Rest::Retry)
            }
        });
    let consumer = Consumer::start(&queue, router, |policy| {
        change(policy);
        policy.handler_timeout = Duration::from_secs(600);
        policy.max_attempts = Some(2.try_into().unwrap());
    });
    queue.drained().await;
    consumer.stop().await;
    assert!(seen.lock().unwrap().len() >= 2, "{seen:?}");
    assert_eq!(queue.dead().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_drain_lets_open_and_running_batches_end() {
    let queue = ModelQueue::new("jobs", VISIBILITY, 3);
    send_rows(&queue, 0..4);
    let seen = Seen::default();
    let options = BatchOptions::new().max_items(3).linger(Duration::from_secs(10));
    let mut consumer = Consumer::start(&queue, slow(options, &seen), change);
    sleep(Duration::from_millis(500)).await;
    assert_eq!(seen.lock().unwrap().len(), 1, "the fourth row waits for others");
    consumer.begin_stop();
    let summary = consumer.stop().await;
    assert_eq!(seen.lock().unwrap().iter().map(Vec::len).collect::<Vec<_>>(), [3, 1]);
    assert!(queue.left().is_empty(), "{summary:?}");
}

#[tokio::test(start_paused = true)]
async fn the_rows_of_a_killed_process_are_done_by_the_next() {
    let queue = ModelQueue::new("jobs", Duration::from_secs(30), 3);
    send_rows(&queue, 0..20);
    let (seen, next) = (Seen::default(), Seen::default());
    let killed = Consumer::start(&queue, slow(BatchOptions::new(), &seen), change);
    sleep(Duration::from_millis(500)).await;
    assert_eq!(seen.lock().unwrap().iter().map(Vec::len).sum::<usize>(), 20);
    killed.kill();
    let consumer = Consumer::start(&queue, slow(BatchOptions::new(), &next), change);
    queue.drained().await;
    consumer.stop().await;
    assert_eq!(next.lock().unwrap().iter().map(Vec::len).sum::<usize>(), 20);
}
