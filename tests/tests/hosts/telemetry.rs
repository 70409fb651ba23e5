//! Responses and settlements do not depend on telemetry: the same script runs with an observer of all events, and without any
//! telemetry.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use drumline::message::Intake;
use drumline::run::{Event, NoopObserver, Observer};
use drumline_tests::ModelQueue;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::time::Instant;

use crate::function::{Response, TestFunction};
use crate::parity::{Script, VISIBILITY, change, max_receive_count, router, script, send_all};
use crate::running::{Consumer, in_memory};

const CASES: u32 = 100;

/// Counts every event.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Observer for Counter {
    fn observe(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Everything that SQS has seen of a run, by the positions of the messages in the script.
#[derive(Debug, PartialEq)]
struct Seen {
    took: Duration,
    dead: Vec<usize>,
    deletes: usize,
    visibilities: usize,
    responses: Vec<Response>,
}

impl Seen {
    fn of(queue: &ModelQueue, begun: Instant, ids: &[String], responses: Vec<Response>) -> Self {
        let position = |id: &str| ids.iter().position(|known| known == id).unwrap();
        let mut dead: Vec<usize> =
            queue.dead().iter().map(|message| position(message.message_id.as_ref())).collect();
        dead.sort_unstable();
        Self {
            took: begun.elapsed(),
            dead,
            deletes: queue.requests.deletes.load(Ordering::SeqCst),
            visibilities: queue.requests.visibilities.load(Ordering::SeqCst),
            responses,
        }
    }
}

async fn by_the_function(name: &str, script: &Script, observer: Arc<dyn Observer>) -> Seen {
    let queue = ModelQueue::new(name, VISIBILITY, max_receive_count(name));
    let (begun, ids) = (Instant::now(), send_all(&queue, script));
    let function = TestFunction {
        queue: queue.clone(),
        router: router(script),
        change,
        observer,
        claim_store: in_memory(),
        intake: Intake::new("arn:test"),
    };
    let responses = function.until_drained().await;
    Seen::of(&queue, begun, &ids, responses)
}

async fn by_the_consumer(name: &str, script: &Script, observer: Arc<dyn Observer>) -> Seen {
    let queue = ModelQueue::new(name, VISIBILITY, max_receive_count(name));
    let (begun, ids) = (Instant::now(), send_all(&queue, script));
    let consumer = Consumer::watched(&queue, router(script), change, observer);
    queue.drained().await;
    consumer.stop().await;
    Seen::of(&queue, begun, &ids, Vec::new())
}

fn same_without_telemetry(run: &impl AsyncFn(&Script, Arc<dyn Observer>) -> Seen) {
    let mut runner = TestRunner::new(Config { cases: CASES, ..Config::default() });
    let result = runner.run(&script(), |script| {
        let on_a_new_clock = |observer| {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let runtime = builder.enable_all().start_paused(true).build().unwrap();
            runtime.block_on(run(&script, observer))
        };
        let fencing_token = Arc::new(Counter::default());
        let observed = on_a_new_clock(Arc::clone(&fencing_token) as Arc<dyn Observer>);
        prop_assert!(fencing_token.0.load(Ordering::Relaxed) > 0);
        prop_assert_eq!(observed, on_a_new_clock(Arc::new(NoopObserver)));
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_functions_responses_do_not_depend_on_telemetry() {
    same_without_telemetry(&async |script, observer| by_the_function("jobs", script, observer).await);
    same_without_telemetry(&async |script, observer| by_the_function("jobs.fifo", script, observer).await);
}

#[test]
fn a_consumers_settlements_do_not_depend_on_telemetry() {
    same_without_telemetry(&async |script, observer| by_the_consumer("jobs", script, observer).await);
    same_without_telemetry(&async |script, observer| by_the_consumer("jobs.fifo", script, observer).await);
}
