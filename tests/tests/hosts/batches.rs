//! Batch handlers in both hosts: which items come together, and what becomes of each.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline::batch::{BatchContext, BatchOptions, BatchResult, Item, Rest};
use drumline::{Failure, Job, Router};
use drumline_tests::ModelQueue;
use tokio::time::{Instant, sleep};

use crate::parity::{VISIBILITY, change};
use crate::running::Consumer;

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

/// A handler that takes a second for each of its batches.
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
    // It would time out if the batch waited for more than can come.
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

/// Settles rows by their numbers: every third is rejected, every third is forgotten at first, the others are done.
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
